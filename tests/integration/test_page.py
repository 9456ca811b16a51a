"""The page in a real browser: what it shows of metrics, how it follows them, and what it does without an answer."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import NARROW, chromium, forgive, tab, text_of
from tests.support.fake_live import FakeLive, metric_row

CUT = ("WebSocket connection to", "Failed to load resource")
HOSTILE = [
    "<img src=x onerror=\"document.title='taken'\">",
    "</script><script>document.title='taken'</script>",
    "\u202egnp.exe \u0007\u001b[31m\u200b",
]
MANY = 1000
LONGEST_TASK_MS = 50
SECONDS = 5


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def fake() -> Iterator[FakeLive]:
    rows = [metric_row("show_locks"), metric_row("alarms", type="sql", instance="plant")]
    with FakeLive(*rows, metric_row("tf", type="stomp", waits=True)) as running:
        yield running


@pytest.fixture
def page(browser: Browser, fake: FakeLive) -> Iterator[Page]:
    with tab(browser, fake.url) as opened:
        expect(opened.locator("#connection")).to_have_text(re.compile("Live"))
        yield opened


def cell(page: Page, metric: str, label: str) -> Any:
    row = page.locator("#metrics tbody tr", has=page.get_by_role("link", name=metric, exact=True))
    return row.locator(f'[data-label="{label}"]')


def shown_metrics(page: Page) -> list[str]:
    return page.locator("#metrics tbody a.open:visible").all_inner_texts()


def wait_for_names(page: Page, *names: str) -> None:
    expect(page.locator("#metrics tbody a.open:visible")).to_have_text(list(names))


# Metrics


def test_every_metric_is_shown_with_its_state_in_words(page: Page) -> None:
    expect(cell(page, "show_locks", "State")).to_have_text("running")
    expect(cell(page, "tf", "State")).to_have_text("listening")
    expect(page.locator("#verdict")).to_have_text("All 3 metrics are well.")
    wait_for_names(page, "show_locks", "alarms", "tf")


def test_it_loads_nothing_from_elsewhere_and_breaks_no_rule(
    browser: Browser, fake: FakeLive
) -> None:
    with tab(browser, "about:blank") as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(fake.url)
        expect(page.locator("#connection")).to_have_text(re.compile("Live"))

    assert len(asked) > 10
    assert [url for url in asked if not url.startswith(fake.url)] == []


def test_what_changes_is_shown_without_a_reload(page: Page, fake: FakeLive) -> None:
    page.evaluate("window.same = true")
    fake.change("alarms", lines_delivered=1_234_567, restarts=3)

    expect(cell(page, "alarms", "Delivered")).to_contain_text("1,234,567")
    expect(cell(page, "alarms", "Restarts")).to_have_text("3")
    assert page.evaluate("window.same") is True


def test_the_next_poll_is_counted_down(page: Page, fake: FakeLive) -> None:
    fake.change("alarms", next_poll_at=time.time() + 40)
    expect(cell(page, "alarms", "Next")).to_have_text(re.compile("in (40|39) s"))

    expect(cell(page, "alarms", "Next")).to_have_text(re.compile("in 38 s"))


def test_trouble_rises_to_the_top_and_is_told(page: Page, fake: FakeLive) -> None:
    fake.change("tf", sink_error="Loki does not answer", lines_waiting=12, bytes_waiting=4096)

    wait_for_names(page, "tf", "show_locks", "alarms")
    expect(page.locator("#verdict")).to_have_text("1 of 3 in trouble.")
    expect(page.locator("#announcement")).to_have_text("1 of 3 in trouble.")
    expect(page).to_have_title("(1) Shipper")
    assert text_of(page, "tr.row-warn [data-label=State]") == "lines wait"
    assert text_of(page, "tr.row-warn [data-label=Waiting]").split("\n") == ["12", "4 KiB"]


def test_trouble_stays_where_it_is_when_nobody_wants_it_first(page: Page, fake: FakeLive) -> None:
    page.get_by_label("Trouble first").uncheck()
    fake.change("tf", result="error", error="gone")

    expect(page.locator("#verdict")).to_have_text("1 of 3 in trouble.")
    wait_for_names(page, "show_locks", "alarms", "tf")


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        ({"result": "error", "error": "refused"}, "error"),
        ({"result": "timeout"}, "timeout"),
        ({"state": "failed", "last_end": "crashed ten times"}, "given up"),
        ({"state": "waiting", "last_end": "killed", "restarts": 1}, "waiting"),
        ({"result": "waiting"}, "no room"),
        ({"oldest_unsent_seconds": 60, "lines_waiting": 5}, "behind"),
    ],
    ids=["error", "timeout", "failed", "waiting", "no room", "behind"],
)
def test_every_kind_of_trouble_has_a_word(
    page: Page, fake: FakeLive, keys: dict[str, Any], word: str
) -> None:
    fake.change("alarms", **keys)

    expect(cell(page, "alarms", "State")).to_have_text(word)
    expect(page.locator("#verdict")).to_have_text("1 of 3 in trouble.")


def test_metrics_come_and_go_with_a_reload_of_the_configuration(page: Page, fake: FakeLive) -> None:
    fake.add(metric_row("zones"))
    fake.remove("show_locks")

    wait_for_names(page, "alarms", "tf", "zones")


def test_a_heading_sorts_and_the_filter_hides(page: Page, fake: FakeLive) -> None:
    fake.change("alarms", rows_per_second=50.0)
    fake.change("tf", rows_per_second=7.0)
    heading = page.get_by_role("button", name="Rows/s")
    heading.click()
    heading.click()
    wait_for_names(page, "alarms", "tf", "show_locks")
    sorted_by = page.locator("#metrics [data-key=rate]").get_attribute("aria-sort")
    page.get_by_label("Filter metrics").fill("sql plant")

    wait_for_names(page, "alarms")
    expect(page.locator("#shown")).to_have_text("1 of 3 shown")
    assert sorted_by == "descending"


# The keyboard


def test_it_can_be_used_without_a_mouse(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("s")
    wait_for_names(page, "show_locks", "alarms", "tf")
    page.keyboard.type("how")
    wait_for_names(page, "show_locks")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    wait_for_names(page, "show_locks", "alarms", "tf")
    page.get_by_role("link", name="show_locks").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    expect(page.locator("#metric-name")).to_have_text("alarms")
    expect(page.locator("#metric-name")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="alarms")).to_be_focused()


def test_the_first_tab_skips_to_the_content(page: Page) -> None:
    page.keyboard.press("Tab")

    assert page.evaluate("document.activeElement.className") == "skip"


def test_a_key_lists_the_keys(page: Page) -> None:
    page.keyboard.press("?")

    expect(page.get_by_role("dialog")).to_contain_text("pause and resume lines")


# Without an answer


def test_it_outlives_a_restart_of_the_service(page: Page, fake: FakeLive) -> None:
    page.evaluate("window.same = true")
    fake.stop()
    expect(page.locator("#connection")).not_to_have_text(re.compile("Live"))
    fake.rows["alarms"]["lines_delivered"] = 77
    fake.start()

    expect(page.locator("#connection")).to_have_text(re.compile("Live"))
    expect(cell(page, "alarms", "Delivered")).to_have_text("77")
    assert page.evaluate("window.same") is True
    forgive(page, *CUT)


def test_it_says_that_it_is_stale_and_since_when(page: Page, fake: FakeLive) -> None:
    fake.stop()

    expect(page.locator("#connection")).to_have_text(re.compile("Stale: .* true [0-9]+ s ago"))
    expect(page.locator("#announcement")).to_have_text(
        re.compile("No answer. Shown is what was true")
    )
    assert page.evaluate("document.body.classList.contains('stale')") is True
    forgive(page, *CUT)


def test_a_service_of_another_version_makes_it_load_anew(page: Page, fake: FakeLive) -> None:
    page.evaluate("window.same = true")
    fake.stop()
    fake.version = "1.3.0"
    fake.start()

    expect(page.locator("#version")).to_have_text("1.3.0")
    assert page.evaluate("window.same") is None
    forgive(page, *CUT)


def test_without_websockets_it_asks(browser: Browser, fake: FakeLive) -> None:
    fake.speaks_websocket = False
    with tab(browser, fake.url) as page:
        expect(page.locator("#connection")).to_have_text(re.compile("asking"))
        fake.rows["alarms"]["lines_delivered"] = 88

        expect(cell(page, "alarms", "Delivered")).to_have_text("88")
        forgive(page, *CUT)


# Text from outside


def test_hostile_text_stays_text(browser: Browser, fake: FakeLive) -> None:
    fake.change("alarms", result="error", error=HOSTILE[0])
    fake.ship("alarms", *HOSTILE, {HOSTILE[0]: HOSTILE[1]})
    with tab(browser, f"{fake.url}/#/metric/alarms/lines") as page:
        expect(page.locator("#lines li")).to_have_count(4)
        lines = page.locator("#lines code").all_inner_texts()
        page.goto(f"{fake.url}/#/metric/alarms/rows")
        expect(page.locator("#rows tbody td").last).to_have_text(HOSTILE[1])
        page.goto(f"{fake.url}/#/")
        expect(cell(page, "alarms", "Last trouble")).to_have_text(HOSTILE[0])

        assert lines[:2] == HOSTILE[:2]
        assert lines[2] == "[U+202E]gnp.exe ␇␛[31m[U+200B]"
        assert page.locator("img").count() == 0
        assert page.title() == "(1) Shipper"


# Sizes


@pytest.mark.parametrize(
    "place", ["", "#/metric/show_locks", "#/metric/alarms/lines", "#/metric/tf/rows"]
)
def test_nothing_sticks_out_of_a_narrow_window(
    browser: Browser, fake: FakeLive, place: str
) -> None:
    fake.change("alarms", error="x" * 300, result="error", instance="a" * 90)
    fake.ship("alarms", "long " * 500)
    fake.ship("tf", {f"column_{number}": "value" for number in range(30)})
    with tab(browser, f"{fake.url}/{place}", viewport=NARROW) as page:
        expect(page.locator("#verdict")).to_have_text("1 of 3 in trouble.")
        page.wait_for_timeout(400)

        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


@pytest.mark.quiet
def test_a_thousand_metrics_that_change_every_second_stay_smooth(browser: Browser) -> None:
    names = [f"metric_{number:04}" for number in range(MANY)]
    with FakeLive(*(metric_row(name) for name in names)) as fake, tab(browser, fake.url) as page:
        expect(page.locator("#metrics tbody a.open")).to_have_count(MANY)
        page.wait_for_timeout(1000)
        page.evaluate(
            "window.tasks = []; new PerformanceObserver((list) => window.tasks.push("
            "...list.getEntries().map((each) => each.duration))).observe({type: 'longtask'})"
        )
        for second in range(SECONDS):
            now = time.time()
            fake.change_many({name: _news(second, now) for name in names})
            page.wait_for_timeout(1000)
        tasks = page.evaluate("window.tasks")

        expect(page.locator("#total-delivered")).to_have_text("4,000")
        expect(cell(page, names[-1], "Delivered")).to_have_text("4")
    # A busy machine makes one or two long by itself; with a layout of all rows every update made several.
    assert len([each for each in tasks if each > LONGEST_TASK_MS]) < SECONDS, tasks


def _news(second: int, now: float) -> dict[str, Any]:
    return {
        "last_poll_at": now,
        "next_poll_at": now + 1,
        "rows_total": second,
        "lines_delivered": second,
        "last_poll_seconds": 0.01 * second,
        "poll_seconds": [0.01 * second],
        "rows_per_second": second + 0.5,
    }
