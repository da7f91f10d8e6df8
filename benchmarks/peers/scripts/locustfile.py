"""The same four requests in turn, with the headers of the recording, as fast as Locust's fast client goes."""

from locust import FastHttpUser, constant, task

_HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0",
    "Accept": "application/json",
    "Accept-Language": "en-US",
}


class Asker(FastHttpUser):
    """Asks without a pause; Locust itself counts what is no 200 as a failure."""

    wait_time = constant(0)

    @task
    def ask(self) -> None:
        """Four requests."""
        for path in ("/api/quotes", "/api/news?page=2", "/api/me", "/api/portfolio"):
            self.client.get(path, headers=_HEADERS)
