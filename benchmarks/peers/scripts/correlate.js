// One token fetched, three requests that carry it.
import http from "k6/http";
export const options = { insecureSkipTLSVerify: true };
export default function () {
  const token = http.get(`${__ENV.URL}/api/orders`).json("id");
  for (const path of ["/api/news", "/api/me", "/api/portfolio"]) http.get(`${__ENV.URL}${path}?ref=${token}`);
}
