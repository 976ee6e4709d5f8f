"""Fetches the pages of a shop and adds up its prices: async tasks, some at once, again after a failure."""

import asyncio
import re
from urllib.parse import urlsplit

from redun import task

redun_namespace = "redun.examples.scraping"


async def request(method: str, url: str) -> tuple[int, dict[str, str], str]:
    """Returns status, headers and text of an answer. (In earnest: httpx or aiohttp.)"""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port or 80)
    writer.write(f"{method} {place.path} HTTP/1.0\r\nHost: {place.netloc}\r\n\r\n".encode())
    head, _, text = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), headers, text


async def asked(method: str, url: str) -> tuple[dict[str, str], str]:
    status, headers, text = await request(method, url)
    if status != 200:
        raise ConnectionError(f"{method} {url}: status {status}")
    return headers, text


@task(cache=False, limits=["web"], retries=3, retry_delay=0.05)
async def version(url: str) -> str:
    """What the server says of the state that a page is in. Asked in every run: only the server knows."""
    headers, _ = await asked("HEAD", url)
    return headers["etag"]


@task(limits=["web"], retries=3, retry_delay=0.05)
async def page(url: str, etag: str) -> str:
    """The text of a page in a state: fetched once for each."""
    _, text = await asked("GET", url)
    return text


@task()
def prices(text: str) -> list[float]:
    return [float(price) for price in re.findall(r'<td class="price">([0-9.]+)</td>', text)]


@task()
async def shelf(url: str) -> float:
    return sum(await prices(page(url, await version(url))))


@task()
async def main(site: str = "http://127.0.0.1:8765") -> dict[str, float]:
    index = await page(f"{site}/index.html", await version(f"{site}/index.html"))
    names = re.findall(r'<a href="([a-z]+\.html)">', index)
    sums = await asyncio.gather(*[shelf(f"{site}/{name}") for name in names])
    return {name: round(total, 2) for name, total in zip(names, sums, strict=True)}
