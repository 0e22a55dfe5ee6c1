"""Pages that captures are tested on, as modules of the projects that the tests run."""

from __future__ import annotations

MOVING = '''
"""A site whose page never looks alike twice on its way: late fonts and images, animations, a caret, a clock."""

import io
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import matplotlib
from PIL import Image

PAGE = """
    <style>
        @font-face { font-family: late; src: url(font.ttf) }
        body { font: 18px late, serif }
        .spinner { width: 40px; height: 40px; background: teal; animation: turn 700ms infinite linear }
        .drawer { width: 200px; height: 20px; background: plum; transition: width 300ms }
        .drawer.open { width: 500px }
        @keyframes turn { to { transform: rotate(360deg) } }
    </style>
    <input autofocus value="caret here"><p>Text in a web font</p>
    <div class=spinner></div><div class=drawer></div><p class=clock></p>
    <video poster="poster.png" width=90 height=60></video>
    <div style="height: 500px"></div>
    <img src="late.png" loading=lazy width=80 height=80>
    <script>
        setInterval(() => document.querySelector(".clock").textContent = performance.now(), 7);
        document.querySelector("input").focus();
        setTimeout(() => document.querySelector(".drawer").classList.add("open"), 20);
    </script>
"""
SETTINGS = {"full_page": True, "mask": [".clock"], "timeout": 20}


def png(colour):
    file = io.BytesIO()
    Image.new("RGB", (80, 80), colour).save(file, "PNG")
    return file.getvalue()


FILES = {
    "/": ("text/html", PAGE.encode()),
    "/font.ttf": ("font/ttf", Path(matplotlib.get_data_path(), "fonts", "ttf", "cmtt10.ttf").read_bytes()),
    "/late.png": ("image/png", png("red")),
    "/poster.png": ("image/png", png("blue")),
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/":
            time.sleep(0.05)
        kind, body = FILES.get(self.path, ("text/plain", b""))
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def start():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


SITE = start()
'''

CHANGED = '''
"""A page, ten changes of one element each, and what a failure has to call that element."""

PAGE = """
<style>body { margin: 0; font: 15px sans-serif } nav, main, table { padding: 12px } td { padding: 6px 18px }
li { height: 26px } button { background: #2563eb; color: white; padding: 6px 14px }</style>
<nav><a href="#" class="brand">Shop</a> <a href="#" class="badge">New</a></nav>
<main><h1>Checkout</h1>
<ul id="cart"><li>Apples</li><li>Pears</li></ul>
<label for="mail">Mail</label> <input id="mail" value="ann@example.org">
<button type="button">Pay now</button> <span class="stock">In stock</span>
<img alt="Parcel" width="40" height="40" src="data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>">
<table><tr><td>Total</td><td id="sum">12.00</td></tr></table>
<div id="host"></div><footer>Imprint</footer></main>
<script>host.attachShadow({mode: "open"}).innerHTML = "<p class=hint>Ships today</p>"</script>
"""
CHANGES = {
    "document.querySelector('.badge').textContent = 'Old'": ("nav > a.badge", "link", "Old"),
    "document.querySelector('button').style.background = '#16a34a'": ("button", "button", "Pay now"),
    "document.querySelector('h1').textContent = 'Check out'": ("h1", "heading", "Check out"),
    "document.querySelector('#mail').value = 'bob@example.org'": ("#mail", "textbox", "Mail"),
    "document.querySelector('#cart').lastElementChild.textContent = 'Plums'": (
        "#cart > li:nth-of-type(2)", "listitem", None),
    "document.querySelector('#sum').textContent = '21.00'": ("#sum", "cell", "21.00"),
    "document.querySelector('img').style.background = 'crimson'": ("img", "img", "Parcel"),
    "document.querySelector('nav').style.background = '#eef2ff'": ("nav", "navigation", None),
    "document.querySelector('.stock').style.visibility = 'hidden'": ("span.stock", None, None),
    "document.querySelector('#host').shadowRoot.querySelector('p').textContent = 'Ships on Monday'": (
        "#host >>> p.hint", "paragraph", None),
}


def named(comparison):
    """Return path, role and name of the only element that a failure names."""
    assert not comparison.passed
    (element,) = {region.element for region in comparison.regions}
    return element.path.rpartition("main > ")[2], element.role, element.name


def is_right(found, change):
    path, role, name = CHANGES[change]
    return found[:2] == (path, role) and name in (None, found[2])
'''
