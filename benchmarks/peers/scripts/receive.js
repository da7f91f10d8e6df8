// Read a stream for as long as the run takes; k6 counts ws_msgs_received by itself.
import ws from "k6/ws";
export default function () {
  ws.connect(__ENV.URL, {}, (socket) => {
    socket.on("message", () => {});
    socket.setTimeout(() => socket.close(), __ENV.SECONDS * 1000);
  });
}
