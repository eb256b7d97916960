"""Files in a real browser: dropped, sent straight to the storage, stopped, sent again."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Route, expect

from assets.models import Asset, Upload
from generation.uploads import inspect
from tests.assets.senders import noise
from tests.conftest import RunManage, picture_file, wait_for
from tests.mutoscope.dashboard import test_browser
from tests.mutoscope.dashboard.test_browser import BY_THE_END, _browser, _fits, _sign_in, _watched

pytestmark = test_browser.pytestmark
site, session = test_browser.site, test_browser.session

MIB = 2**20
STUCK = "() => { XMLHttpRequest.prototype.send = () => {} }"


def _on_disk(folder: Path, name: str, content: bytes) -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two pictures, a sound of two parts, and what is none of these."""
    return [
        _on_disk(tmp_path, "one.png", picture_file(640, 360).read()),
        _on_disk(tmp_path, "two.png", picture_file(80, 90).read()),
        _on_disk(tmp_path, "noise.wav", noise(6 * MIB)),
        _on_disk(tmp_path, "x.png", b"not a picture"),
    ]


def test_several_files_into_the_library(site: str, session: str, manage: RunManage, files: list[str]) -> None:
    with manage("media"), _browser() as page:
        _sign_in(page, site, session)
        page.goto(f"{site}/library")
        page.locator("#id_file").set_input_files(files)
        expect(page.locator(".card")).to_have_count(3, timeout=BY_THE_END)
        expect(page.locator(".upload-row")).to_have_count(1, timeout=BY_THE_END)
        expect(page.locator(".upload-row [role=alert]")).to_contain_text("x.png: The name of this file promises")
        page.get_by_role("button", name="Dismiss").click()
        expect(page.locator(".upload-row")).to_have_count(0)
    assert sorted(Asset.objects.values_list("name", flat=True)) == ["noise.wav", "one.png", "two.png"]
    assert sorted(Upload.objects.values_list("state", flat=True)) == ["ready"] * 3 + ["refused"]


def test_a_broken_line_is_tried_again(site: str, session: str, files: list[str]) -> None:
    faults = ["503", "lost", "503", "503", "503", "503"]

    def fail(route: Route) -> None:
        """The first time by itself, with two faults; then for so long that the person has to."""
        fault = faults.pop(0) if faults else ""
        if fault == "lost":
            route.abort()
        elif fault:
            route.fulfill(status=503)
        else:
            route.continue_()

    with _browser() as page:
        _sign_in(page, site, session)
        page.goto(f"{site}/library")
        page.route("**/incoming/**", fail)
        page.locator("#id_file").set_input_files(files[0])
        expect(page.locator(".upload-row [role=alert]")).to_contain_text("could not be sent", timeout=BY_THE_END)
        assert len(faults) == 2
        page.get_by_role("button", name="Try again").click()
        expect(page.locator(".upload-state")).to_contain_text("Being looked into", timeout=BY_THE_END)
    assert Upload.objects.get().state == "inspecting"
    inspect(Upload.objects.get().pk)
    assert Asset.objects.get().name == "one.png"


def test_cancelling_and_leaving(site: str, session: str, picture: Asset, files: list[str]) -> None:
    with _watched() as page:
        _sign_in(page, site, session)
        page.goto(f"{site}/?picture={picture.pk}")
        page.evaluate(STUCK)
        page.locator("#id_file").set_input_files(files[0])
        expect(page.locator("#stage img")).to_have_attribute("alt", "The chosen picture, one.png")
        page.get_by_role("button", name="Make the clip").click()
        expect(page.locator(".toast")).to_contain_text("still on its way")
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator(".upload-row")).to_have_count(0)
        expect(page.locator("#stage")).to_contain_text(picture.name)
        page.locator("#id_file").set_input_files(files[1])
        expect(page.locator(".upload-state")).to_have_text("0%")
        page.goto(f"{site}/library")
        expect(page.locator(".card")).to_have_count(1)
    wait_for(lambda: not Upload.objects.filter(state="open").exists(), what="the end of both")
    assert list(Upload.objects.values_list("state", flat=True)) == ["abandoned"] * 2


def test_a_picture_whose_link_has_died_is_shown_all_the_same(site: str, session: str, picture: Asset) -> None:
    asked: list[str] = []

    def die(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.fulfill(status=404)
        else:
            route.continue_()

    with _browser() as page:
        _sign_in(page, site, session)
        page.route("**/files/**", die)
        page.goto(f"{site}/library")
        page.wait_for_function("() => document.querySelector('.card img').naturalWidth > 0")
        assert page.locator(".card img").get_attribute("src") == f"/library/{picture.pk}/file?as=thumbnail"


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)])
def test_uploads_in_every_light(
    site: str, session: str, files: list[str], tmp_path: Path, theme: Literal["light", "dark"], width: int
) -> None:
    with _browser(viewport={"width": width, "height": 900}, color_scheme=theme) as page:
        _sign_in(page, site, session)
        for path in ("/library", "/"):
            page.goto(site + path)
            page.evaluate(STUCK)
            page.locator("#id_file").set_input_files(files if path == "/library" else files[0])
            expect(page.locator(".upload-state").first).to_have_text("0%")
            page.screenshot(path=tmp_path / f"upload-{theme}-{width}-{path.strip('/') or 'create'}.png")
            _fits(page, path)
            buttons = page.locator(".upload-row button:visible")
            assert min(buttons.evaluate_all("all => all.map(one => one.offsetHeight)")) >= 44
