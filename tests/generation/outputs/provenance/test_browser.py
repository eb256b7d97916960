"""A signed clip in a real browser: what is put between its boxes must not keep it from playing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from generation.outputs.provenance import Claim, sign

CHROMIUM = shutil.which("chromium")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
]


def test_a_signed_clip_plays_to_its_end(media: Callable[[str], Path], claim: Claim) -> None:
    clip = media("mp4")
    sign(clip, "video/mp4", claim)
    page = clip.with_name("page.html")
    page.write_text(f'<video muted src="{clip.name}"></video>')
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        try:
            tab = browser.new_page()
            tab.goto(page.as_uri())
            tab.evaluate("document.querySelector('video').play()")
            tab.wait_for_function("document.querySelector('video').ended", timeout=20_000)
            facts = tab.evaluate(
                "(() => { const v = document.querySelector('video');"
                " return [v.videoWidth, v.videoHeight, v.duration, v.error] })()"
            )
        finally:
            browser.close()
    assert facts == [160, 96, 2, None]
