// A new TLS connection for every request.
import http from "k6/http";
export const options = { insecureSkipTLSVerify: true, noConnectionReuse: true };
export default function () {
  http.get(__ENV.URL);
}
