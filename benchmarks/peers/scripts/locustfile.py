"""One GET after the other, as fast as Locust's fast client goes."""

from locust import FastHttpUser, constant, task


class Asker(FastHttpUser):
    """Asks without a pause."""

    wait_time = constant(0)

    @task
    def ask(self) -> None:
        """One request."""
        self.client.get("/api/quotes")
