// A new TLS connection for every request, and a check of its status.
import http from "k6/http";
import { check } from "k6";
export const options = { noConnectionReuse: true };
export default function () {
  check(http.get(__ENV.URL), { "is 200": (answer) => answer.status === 200 });
}
