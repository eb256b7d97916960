"""Other formats and the clip without mark, in a real browser with a real media process."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from generation.models import Job
from mutoscope.accounts.selectors import Access
from tests.conftest import RunManage
from tests.generation.outputs.clips import clip_in
from tests.generation.samples import submit
from tests.mutoscope.dashboard.test_browser import BY_THE_END, _sign_in, _watched, session, site

__all__ = ["session", "site"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]


def test_the_menu_and_the_page_follow_what_is_made(
    site: str, session: str, access: Access, tmp_path: Path, manage: RunManage
) -> None:
    clip, job = clip_in(access.workspace, tmp_path, marked=True), submit(access)
    Job.objects.filter(pk=job.pk).update(
        output=clip, state="succeeded", ended_at=job.created_at, width=160, height=96, frames=16, fps=8
    )
    with manage("media"), _watched(viewport={"width": 390, "height": 844}) as page:
        _sign_in(page, site, session)
        page.goto(f"{site}/jobs/{job.pk}")
        page.locator(".download-menu > summary").click()
        row = page.locator(".download-row", has_text="GIF")
        row.get_by_role("button", name="Small").click()
        expect(row.locator("a.is-ready")).to_be_visible(timeout=BY_THE_END)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        with page.expect_download() as had:
            row.locator("a.is-ready").click()
        assert had.value.suggested_filename.endswith(".gif")
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Get the clip without mark").click()
        expect(page.locator(".reissue")).to_have_count(0, timeout=BY_THE_END)
        assert "coffee-still" in (page.locator("video.clip").get_attribute("src") or "")
        page.wait_for_function("() => document.querySelector('video.clip').readyState > 0")
    clip.refresh_from_db()
    assert not clip.is_marked
