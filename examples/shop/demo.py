"""Run the shop once: with a stock, and with a payment service that says yes to everybody."""

import json
import os
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from shop import orders, stock


class Payments(BaseHTTPRequestHandler):
    """Accepts every payment."""

    paid = 0

    def do_POST(self):
        """Answer with the payment's number."""
        self.rfile.read(int(self.headers["Content-Length"]))
        Payments.paid += 1
        body = json.dumps({"id": f"payment-{Payments.paid}", "accepted": True}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        """Say nothing."""


def main():
    """Order twice: something, and more than there is."""
    server = HTTPServer(("127.0.0.1", 0), Payments)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["SHOP_PAYMENTS"] = f"http://127.0.0.1:{server.server_port}/"
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SHOP_DATABASE"] = str(Path(folder) / "stock.db")
        with stock.connect() as database:
            database.execute("INSERT INTO stock VALUES ('tea', 450, 100), ('cup', 1200, 3)")
        print(orders.place("eve", {"tea": 10, "cup": 1}))
        try:
            orders.place("bob", {"cup": 5})
        except stock.OutOfStock as error:
            print(error, file=sys.stderr)
    server.shutdown()


if __name__ == "__main__":
    main()
