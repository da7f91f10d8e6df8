// One token fetched, three requests that carry it, each with a check of the status.
import http from "k6/http";
import { check } from "k6";
const checks = { "is 200": (answer) => answer.status === 200 };
export default function () {
  const order = http.get(`${__ENV.URL}/api/orders`);
  check(order, checks);
  const token = order.json("id");
  for (const path of ["/api/news", "/api/me", "/api/portfolio"]) {
    check(http.get(`${__ENV.URL}${path}?ref=${token}`), checks);
  }
}
