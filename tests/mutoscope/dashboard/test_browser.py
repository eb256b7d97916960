"""The pages in a real browser, against a real server and a real worker."""

from __future__ import annotations

import shutil
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Page, Request, expect, sync_playwright

from assets.models import Asset
from assets.services import upload
from generation.models import Job
from generation.services import JobRequest, submit
from mutoscope.accounts.selectors import Access
from tests.conftest import RunManage, picture_file, wait_for
from tests.mutoscope.dashboard.months import a_busy_month

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PASSWORD = "correct horse battery"
BY_THE_END = 60_000
"""Milliseconds for a worker to start and make a tiny clip, on a busy machine."""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]


@pytest.fixture
def site(manage: RunManage) -> Iterator[str]:
    """The address of a web server on this test's database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with manage("web", "--port", str(port), PUBLIC_URL=address):
        wait_for(lambda: _answers(address), what="the web server")
        yield address


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/api/v1/health/live", timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


@dataclass
class Watched:
    """A page, and everything that went wrong in it."""

    page: Page
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        page = self.page
        page.on("console", lambda m: self._note(m.type in ("error", "warning"), f"console: {m.text}"))
        page.on("pageerror", lambda error: self._note(True, f"script: {error}"))
        page.on("response", lambda r: self._note(r.status >= 400, f"{r.status}: {r.url}"))
        page.on("requestfailed", lambda r: self._note(not self._left_behind(r), f"{r.failure}: {r.url}"))

    @staticmethod
    def _left_behind(request: Request) -> bool:
        """Whether the browser itself gave it up: whatever is still under way where a page is left is "aborted"."""
        return request.failure == "net::ERR_ABORTED" or request.resource_type in ("eventsource", "media")

    def _note(self, is_fault: bool, what: str) -> None:
        if is_fault:
            self.faults.append(what)


@contextmanager
def _browser(**options: object) -> Iterator[Page]:
    """A page in a fresh browser.

    Within it this thread has a running event loop, and with that other database connections than the test's own:
    whatever needs the database is done before and after.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        context = browser.new_context(**options)  # type: ignore[arg-type]
        context.set_default_timeout(15_000)
        try:
            yield context.new_page()
        finally:
            browser.close()


@contextmanager
def _watched(**options: object) -> Iterator[Page]:
    """The same, and nothing may go wrong in it."""
    with _browser(**options) as page:
        watched = Watched(page)
        yield page
    assert watched.faults == []


@pytest.fixture
def session(access: Access) -> str:
    """Alice's session: signing in by hand is another test's."""
    assert access.user
    client = Client()
    client.force_login(access.user)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def _sign_in(page: Page, site: str, session: str) -> None:
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": site}])


def _is_playing(page: Page) -> None:
    page.wait_for_function(
        "() => { const v = document.querySelector('video.clip'); return v && !v.paused && v.currentTime > 0 }"
    )


def _picture_on_disk(folder: Path) -> str:
    path = folder / "still.png"
    path.write_bytes(picture_file(640, 360).read())
    return str(path)


def test_from_sign_up_to_the_clip(site: str, manage: RunManage, tmp_path: Path) -> None:
    with manage("media"), manage("worker", "--model", "still"), _watched() as page:
        page.goto(f"{site}/account/signup/")
        page.get_by_label("Email").fill("new@example.org")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Make the account").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Bring a picture to life")

        page.locator("#id_file").set_input_files(_picture_on_disk(tmp_path))
        expect(page.locator("#stage")).to_contain_text("640 × 360", timeout=BY_THE_END)
        expect(page.locator("#strip input:checked")).to_have_count(1)
        page.locator("[name=model][value=still]").check()
        expect(page.locator("#options")).to_contain_text("64 × 64")
        page.get_by_label("Prompt", exact=True).fill("pause=0.2 the steam rises")
        page.get_by_role("button", name="Make the clip").click()

        expect(page.locator("#panel")).to_have_attribute("data-state", "succeeded", timeout=BY_THE_END)
        _is_playing(page)
        expect(page.locator("#announcement")).to_have_text("Succeeded")
        expect(page.locator(".timeline")).to_contain_text("The clip is here")

        page.get_by_role("link", name="Library").click()
        expect(page.locator(".card [data-scrub]")).to_have_count(1)
        expect(page.locator(".card img")).to_have_count(2)
        page.get_by_role("link", name="History").first.click()
        expect(page.locator(".job-row")).to_contain_text("Succeeded")


def test_from_one_picture_to_another(
    site: str, session: str, manage: RunManage, picture: Asset, access: Access
) -> None:
    last = upload(access, picture_file(80, 80, name="last.png"))
    with manage("worker", "--model", "zoetrope"), _watched() as page:
        _sign_in(page, site, session)
        page.goto(f"{site}/?picture={picture.pk}")
        estimate = page.locator("#estimate")
        expect(estimate).to_contain_text("You get")
        page.locator("[name=model][value=zoetrope]").check()
        expect(estimate).to_contain_text("The engine makes 96 × 96 × 33 frames; you get 96 × 72, 4 s.")
        page.locator("#id_seconds").fill("1")
        expect(estimate).to_contain_text("The engine makes 96 × 96 × 9 frames; you get 96 × 72, 1 s.")

        page.get_by_role("radio", name="From words alone").check()
        expect(page.locator(".create-picture")).to_be_hidden()
        page.get_by_role("radio", name="From one picture to another", exact=True).check()
        expect(page.locator("#stage")).to_contain_text(picture.name)
        expect(estimate).to_contain_text("Choose what it ends on")
        page.locator("#last-strip").get_by_title(last.name).click()
        page.get_by_role("radio", name="Draft").check()
        expect(estimate).to_contain_text("you get 96 × 72, 1.125 s.")
        expect(estimate).to_contain_text("1 credit of 20,000")
        page.get_by_role("button", name="Make the clip").click()

        expect(page.locator("#panel")).to_have_attribute("data-state", "succeeded", timeout=BY_THE_END)
        expect(page.locator(".facts").first).to_contain_text("Draft")
        page.locator(".job-facts summary").click()
        expect(page.locator(".recipe")).to_contain_text("still")
    assert Job.objects.get().last_picture == last


def test_by_keyboard_alone(site: str, manage: RunManage, access: Access, picture: Asset) -> None:
    with manage("worker", "--model", "still"), _watched() as page:
        page.goto(f"{site}/account/login/")
        _tab_to(page, "[name=login]")
        page.keyboard.type("alice@example.org")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{site}/")

        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_focused()
        page.keyboard.press("Enter")
        _tab_to(page, "#id_file")
        _tab_to(page, "[name=picture]")
        page.keyboard.press("Space")
        expect(page.locator("#stage")).to_contain_text(picture.name)
        _tab_to(page, "[name=prompt]")
        page.keyboard.type("pause=0.1")
        _tab_to(page, "[name=model]")
        page.keyboard.press("ArrowDown")
        expect(page.locator("#options")).to_contain_text("64 × 64")
        _tab_to(page, "[name=seconds]")
        page.keyboard.press("Control+A")
        page.keyboard.type("2")
        _tab_to(page, ".create-go button")
        page.keyboard.press("Enter")

        expect(page.locator("#panel")).to_have_attribute("data-state", "succeeded", timeout=BY_THE_END)
        expect(page.locator(".facts").first).to_contain_text("2 s")
        _tab_to(page, "header .menu > summary")
        page.keyboard.press("Enter")
        _tab_to(page, ".menu-panel [action='/account/logout/'] button")
        page.keyboard.press("Enter")
        page.wait_for_url("**/account/login/**")


def _tab_to(page: Page, selector: str) -> None:
    """Press Tab until the focus is there, and see that it shows."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            assert page.evaluate(_RING), f"the focus on {selector} does not show"
            return
    pytest.fail(f"Tab never came to {selector}")


_RING = """() => {
    const shown = e => e && getComputedStyle(e).outlineStyle !== 'none'
        && parseFloat(getComputedStyle(e).outlineWidth) >= 2;
    const here = document.activeElement;
    const zone = here.closest('.dropzone');
    return shown(here) || shown(here.nextElementSibling) || shown(zone) || shown(zone?.querySelector('.stage'));
}"""


@pytest.fixture
def pages(access: Access, picture: Asset) -> list[str]:
    """Every page, with something on it."""
    upload(access, picture_file(400, 900, name="a-very-long-name-as-cameras-and-people-give-them-2026-final.png"))
    job = submit(access, JobRequest(model="preview", picture=picture.pk, prompt="Unendingly" * 20))
    a_busy_month(access.workspace)
    return [
        "/", "/?model=zoetrope", f"/?from={job.pk}", f"/jobs/{job.pk}", "/jobs", "/library", "/keys", "/usage",
        "/usage?period=30-days", "/usage/entries", "/usage/receipts", "/billing",
        "/account/email/", "/account/password/change/", "/account/logout/",
    ]  # fmt: skip


def test_no_page_is_wider_than_a_phone(site: str, session: str, pages: list[str]) -> None:
    with _watched(viewport={"width": 360, "height": 740}) as page:
        for path in ["/account/login/", "/account/signup/", "/account/password/reset/"]:
            page.goto(site + path)
            _fits(page, path)
        _sign_in(page, site, session)
        for path in pages:
            page.goto(site + path)
            _fits(page, path)
            page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
            _fits(page, f"{path}, everything unfolded")
            small = page.evaluate(_TOO_SMALL)
            assert small == [], f"too small to touch on {path}"


def _fits(page: Page, what: str) -> None:
    wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{what} is {wide} pixels too wide"


_TOO_SMALL = """() => [
    ...document.querySelectorAll('button, summary, .tabs a, .menu-item, .filters a, .segments label, .chip'),
]
    .filter(e => e.offsetParent && (e.offsetHeight < 43.5 || e.offsetWidth < 43.5))
    .map(e => `${e.outerHTML.slice(0, 80)} ${e.offsetWidth}×${e.offsetHeight}`)"""

_CONTRASTS = """() => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const rgba = color => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = ([r, g, b]) => [r, g, b]
        .map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = e => {
        for (; e; e = e.parentElement) {
            const color = rgba(getComputedStyle(e).backgroundColor);
            if (color[3] === 255) return color;
        }
        return rgba(getComputedStyle(document.documentElement).colorScheme === 'dark' ? '#000' : '#fff');
    };
    const poor = [];
    for (const e of document.querySelectorAll('body *')) {
        const words = [...e.childNodes].filter(n => n.nodeType === 3 && n.data.trim());
        if (!words.length || !e.checkVisibility({ opacityProperty: true })) continue;
        if (e.closest('.oops-code, noscript, .card-length')) continue;
        const [a, b] = [light(rgba(getComputedStyle(e).color)), light(ground(e))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        const what = `${e.tagName}.${e.className} ${words[0].data.trim().slice(0, 30)}`;
        if (contrast < 4.5) poor.push(`${contrast.toFixed(2)} ${what}`);
    }
    return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast(site: str, session: str, pages: list[str], scheme: str) -> None:
    with _watched(color_scheme=scheme, reduced_motion="reduce") as page:
        page.goto(f"{site}/account/login/")
        assert page.evaluate(_CONTRASTS) == []
        _sign_in(page, site, session)
        grounds = set()
        for path in pages:
            page.goto(site + path)
            page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
            assert page.evaluate(_CONTRASTS) == [], path
            grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert len(grounds) == 1


def test_the_chosen_colours_are_remembered(site: str, session: str) -> None:
    with _watched(color_scheme="light") as page:
        _sign_in(page, site, session)
        page.goto(f"{site}/library")
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.locator(".masthead-end summary").click()
        page.get_by_role("radio", name="Dark").check()
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert dark != light
        page.goto(f"{site}/jobs")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_a_refused_upload_and_a_deleted_asset(
    site: str, session: str, manage: RunManage, picture: Asset, tmp_path: Path
) -> None:
    (tmp_path / "x.png").write_text("not a picture")
    # The browser itself reports a refused upload on its console, so this page is not watched.
    with manage("media"), _browser() as page:
        _sign_in(page, site, session)
        page.goto(f"{site}/?picture={picture.pk}")
        expect(page.locator("#strip input:checked")).to_have_count(1)
        page.locator("#id_file").set_input_files(str(tmp_path / "x.png"))
        expect(page.locator("#stage [role=alert]")).to_contain_text("x.png: ", timeout=BY_THE_END)
        expect(page.locator("#strip input:checked")).to_have_count(0)
        page.goto(f"{site}/library")
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_label(f"More about {picture.name}").click()
        page.get_by_role("button", name="Move to the trash").click()
        expect(page.locator(".card")).to_have_count(0)
        expect(page.get_by_text("Nothing here yet.")).to_be_visible()
        page.get_by_role("link", name="Trash").click()
        page.get_by_label(f"Restore {picture.name}").click()
        expect(page.get_by_text("The trash is empty.")).to_be_visible()
        page.get_by_role("link", name="To the library").click()
        expect(page.locator(".card")).to_have_count(1)


def test_without_scripts_a_job_can_be_made(site: str, session: str, tmp_path: Path) -> None:
    with _watched(java_script_enabled=False) as page:
        _sign_in(page, site, session)
        page.goto(f"{site}/?model=zoetrope&mode=t2v")
        expect(page.locator("#estimate")).to_contain_text("The engine makes 96 × 96 × 9 frames")
        page.goto(f"{site}/")
        page.locator("#id_file").set_input_files(_picture_on_disk(tmp_path))
        page.locator("[name=prompt]").fill("pan left")
        page.get_by_role("button", name="Make the clip").click()
        page.wait_for_url("**/jobs/*")
    assert Job.objects.get().prompt == "pan left"


def test_without_a_stream_the_page_asks_again_and_again(
    site: str, session: str, manage: RunManage, job: Job
) -> None:
    with _watched() as page:
        page.add_init_script("delete window.EventSource")
        _sign_in(page, site, session)
        page.goto(f"{site}/jobs/{job.pk}")
        expect(page.locator("#panel")).to_have_attribute("data-state", "queued")
        with manage("worker", "--model", "still"):
            expect(page.locator("#panel")).to_have_attribute("data-state", "succeeded", timeout=BY_THE_END)


def test_a_job_cancelled_elsewhere_is_seen_here(site: str, session: str, job: Job) -> None:
    with _watched() as page:
        _sign_in(page, site, session)
        page.goto(f"{site}/jobs/{job.pk}")
        elsewhere = page.context.new_page()
        elsewhere.goto(f"{site}/jobs/{job.pk}")
        elsewhere.get_by_role("button", name="Cancel").click()
        expect(elsewhere.get_by_text("It was cancelled.")).to_be_visible()
        expect(page.get_by_text("It was cancelled.")).to_be_visible()
        expect(page.locator("#announcement")).to_have_text("Cancelled")


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)])
def test_usage_in_every_light(
    site: str, access: Access, session: str, tmp_path: Path, theme: Literal["light", "dark"], width: int
) -> None:
    a_busy_month(access.workspace)
    with _watched(viewport={"width": width, "height": 900}, color_scheme=theme) as page:
        _sign_in(page, site, session)
        page.goto(f"{site}/usage")
        expect(page.locator(".credits-left")).to_have_text("15,533 credits")
        page.get_by_role("link", name="Last 30 days").click()
        chart = page.get_by_role("img", name="Finished video by day")
        expect(chart).to_be_visible()
        page.get_by_text("Figures").first.click()
        expect(page.get_by_role("region", name="Finished video, figures")).to_be_visible()
        page.screenshot(path=tmp_path / f"usage-{theme}-{width}.png", full_page=True)
        _fits(page, "usage")
        if width > 1000:
            for narrower in (1000, 900, 720):
                page.set_viewport_size({"width": narrower, "height": 900})
                _fits(page, f"usage, on {narrower} pixels,")
        with page.expect_download() as download:
            page.get_by_role("link", name="Every job as CSV").click()
        assert download.value.path().read_text().startswith("id,created_at,ended_at,model")


def test_a_clip_is_looked_through_without_playing_it(
    site: str, session: str, manage: RunManage, access: Access, job: Job
) -> None:
    """By pointer and by keys, on its card and under its player; the GIF beside it plays in place of a video."""
    gif = submit(access, JobRequest(model="still", mode="t2v", seconds=2, steps=1, format="gif"))
    with manage("worker", "--model", "still"), _watched(reduced_motion="reduce") as page:
        _sign_in(page, site, session)
        for made in (job, gif):
            page.goto(f"{site}/jobs/{made.pk}")
            expect(page.locator("#panel")).to_have_attribute("data-state", "succeeded", timeout=BY_THE_END)
        expect(page.locator("picture img.clip")).to_be_visible()
        expect(page.locator("video")).to_have_count(0)

        page.goto(f"{site}/library")
        card = page.locator(".card-media").first
        scrub = card.locator(".scrub")
        expect(scrub).to_be_hidden()
        card.hover(position={"x": 5, "y": 20})
        expect(scrub).to_be_visible()
        at_the_left = scrub.evaluate("element => element.style.backgroundPosition")
        card.hover(position={"x": 150, "y": 20})
        assert scrub.evaluate("element => element.style.backgroundPosition") != at_the_left
        page.mouse.move(0, 0)
        expect(scrub).to_be_hidden()
        _tab_to(page, ".card-media")
        expect(scrub).to_be_hidden()  # motion is not wanted
        page.keyboard.press("ArrowRight")
        expect(scrub).to_be_visible()

        page.goto(f"{site}/jobs/{job.pk}")
        moment = page.get_by_role("slider", name="Moment in the clip")
        moment.focus()
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        page.wait_for_function(
            "fps => Math.abs(document.querySelector('video.clip').currentTime - 3 / fps) < 0.02", arg=job.fps
        )
