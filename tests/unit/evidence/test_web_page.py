"""The page that goes into every package: one file that may load nothing."""

import base64
import hashlib
import re
from pathlib import Path

import sync.evidence
from sync.evidence import web_page
from sync.evidence.texts import load_texts

FOLDER = Path(sync.evidence.__file__).parent / "web"


def test_it_is_the_same_bytes_on_each_build():
    assert web_page.build() == web_page.build()


def test_its_policy_allows_only_the_script_and_the_style_inside():
    page = web_page.build().decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]

    assert policy.startswith("default-src 'none'; ")
    for name in ("script", "style"):
        [inside] = re.findall(f"<{name}>(.*?)</{name}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert not re.search(r"""(?:src|href)\s*=|https?:|fetch\(|XMLHttp|WebSocket|import\(""", page)


def test_it_carries_its_modules_unchanged_and_each_is_one_to_read():
    page = web_page.build().decode()
    written = {path.stem for path in FOLDER.glob("*.js")}

    assert written == set(web_page.MODULES)
    for name in web_page.MODULES:
        source = (FOLDER / f"{name}.js").read_text("utf-8")
        assert source.strip() in page
        assert len(source.splitlines()) < 400


def test_every_sentence_that_it_says_is_in_the_catalogue():
    texts = load_texts()
    said = set()
    for path in FOLDER.glob("*.js"):
        source = path.read_text("utf-8")
        said |= set(re.findall(rf'"((?:{STEPS})\.[a-z_]+)"', source))
    said |= set(re.findall(r'data-say="([^"]+)"', (FOLDER / "page.html").read_text("utf-8")))

    assert len(said) > 90
    assert {f"verify.{key}" for key in said} <= set(texts)


STEPS = "container|bag|trust|ledger|journal|case|receipts|time|duties|web|cli"
