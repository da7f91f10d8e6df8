// The same four requests in turn, with the headers of the recording and a check of the status; connections are kept.
import http from "k6/http";
import { check } from "k6";
const params = {
  headers: {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0",
    Accept: "application/json",
    "Accept-Language": "en-US",
  },
};
export default function () {
  for (const path of ["/api/quotes", "/api/news?page=2", "/api/me", "/api/portfolio"]) {
    check(http.get(`${__ENV.URL}${path}`, params), { "is 200": (answer) => answer.status === 200 });
  }
}
