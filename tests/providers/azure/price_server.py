"""Azure's public list of prices on loopback: a few rows, with the traps that the real one has."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


def row(name: str, usd: float, *, region: str = "eastus", meter: str = "", product: str = "", **more: Any) -> dict[str, Any]:
    """Return an entry of the list, in the shape the Retail Prices API gives it."""
    plain = name.removeprefix("Standard_").replace("_", " ")
    return {
        "currencyCode": "USD",
        "tierMinimumUnits": 0.0,
        "retailPrice": usd,
        "unitPrice": usd,
        "armRegionName": region,
        "meterName": meter or plain,
        "productName": product or "Virtual Machines Series",
        "skuName": meter or plain,
        "serviceName": "Virtual Machines",
        "unitOfMeasure": "1 Hour",
        "type": "Consumption",
        "armSkuName": name,
        **more,
    }


class PriceServer(ThreadingHTTPServer):
    """Answers with the rows of the region that the filter names, `per_page` at a time; `statuses` are given first."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rows: list[dict[str, Any]] = []
        self.per_page = 1000
        self.statuses: list[int] = []
        self.next_origin = self.origin
        self.body: bytes | None = None
        self.asked: list[dict[str, str]] = []

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/api/retail/prices"


class _Handler(BaseHTTPRequestHandler):
    server: PriceServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        query = {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}
        server.asked.append({**query, "Authorization": self.headers["Authorization"] or ""})
        status = server.statuses.pop(0) if server.statuses else 200
        body = server.body if server.body is not None else json.dumps(_page(server, query)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _page(server: PriceServer, query: dict[str, str]) -> dict[str, Any]:
    regions = re.findall(r"armRegionName eq '([^']+)'", query.get("$filter", ""))
    found = [each for each in server.rows if not regions or each["armRegionName"] in regions]
    skip = int(query.get("$skip", "0"))
    more = skip + server.per_page < len(found)
    following = f"{server.next_origin}/api/retail/prices?$skip={skip + server.per_page}" if more else None
    return {"Items": found[skip : skip + server.per_page], "NextPageLink": following, "Count": len(found)}


@contextmanager
def serving() -> Iterator[PriceServer]:
    """Serve until it is left."""
    server = PriceServer()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
