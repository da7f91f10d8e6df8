// As fast as it goes: one GET after the other, connections kept.
import http from "k6/http";
export const options = { insecureSkipTLSVerify: true };
export default function () {
  http.get(__ENV.URL);
}
