"""The page's views in a real browser: live lines, the newest poll, SQream's locks and statements, runs, jobs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import NARROW, chromium, forgive, tab
from tests.support.fake_live import FakeLive, Message, metric_row

CUT = ("WebSocket connection to", "Failed to load resource")
SQREAM_HOURS_AHEAD = 2
MOST_LINES = 1000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def fake() -> Iterator[FakeLive]:
    names = ("show_locks", "show_server_status", "get_leveldb_stats")
    with FakeLive(*map(metric_row, names)) as running:
        yield running


@pytest.fixture
def lines(browser: Browser, fake: FakeLive) -> Iterator[Page]:
    fake.ship("get_leveldb_stats", "first", "second")
    with tab(browser, f"{fake.url}/#/metric/get_leveldb_stats/lines") as page:
        expect(page.locator("#lines li")).to_have_count(2)
        yield page


def wait_for_lines(page: Page, *lines: str) -> None:
    expect(page.locator("#lines code")).to_have_text(list(lines))


# Live lines


def test_lines_are_followed_as_they_are_shipped(lines: Page, fake: FakeLive) -> None:
    fake.ship("get_leveldb_stats", "third")
    fake.ship("show_locks", "of another metric")

    wait_for_lines(lines, "first", "second", "third")
    expect(lines.locator("#lines-count")).to_have_text("3 lines")


def test_a_pause_holds_lines_back_and_counts_them(lines: Page, fake: FakeLive) -> None:
    lines.keyboard.press("p")
    fake.ship("get_leveldb_stats", "third", "fourth")
    expect(lines.locator("#lines-pause")).to_have_text("Resume (2 new)")
    wait_for_lines(lines, "first", "second")
    lines.get_by_role("button", name="Resume").click()

    wait_for_lines(lines, "first", "second", "third", "fourth")


def test_a_filter_asks_for_lines_with_its_text(lines: Page, fake: FakeLive) -> None:
    lines.keyboard.press("/")
    lines.keyboard.type("SEC")
    wait_for_lines(lines, "second")
    fake.ship("get_leveldb_stats", "third", "seconds")
    wait_for_lines(lines, "second", "seconds")
    lines.keyboard.press("Escape")

    wait_for_lines(lines, "first", "second", "third", "seconds")
    assert any("match=SEC" in asked for asked in fake.asked)


def test_lost_lines_are_told(lines: Page, fake: FakeLive) -> None:
    fake.lose(1234)

    expect(lines.locator("#lines-count")).to_contain_text("1,234 lost")
    expect(lines.locator("#lines .gap")).to_contain_text("1,234 lines lost here")


def test_lines_are_copied_one_or_all(browser: Browser, fake: FakeLive) -> None:
    fake.ship("show_locks", "first\nline", "second")
    allowed = ["clipboard-read", "clipboard-write"]
    with tab(browser, f"{fake.url}/#/metric/show_locks/lines", permissions=allowed) as page:
        page.get_by_role("button", name="Copy all").click()
        expect(page.locator("#announcement")).to_have_text("Copied 2")
        everything = page.evaluate("navigator.clipboard.readText()")
        page.locator("#lines").focus()
        page.keyboard.press("ArrowUp")
        page.keyboard.press("c")
        expect(page.locator("#announcement")).to_have_text("Copied")
        one = page.evaluate("navigator.clipboard.readText()")

    assert everything == "first\nline\nsecond"
    assert one == "second"


def test_a_reconnection_shows_no_line_twice(lines: Page, fake: FakeLive) -> None:
    fake.stop()
    expect(lines.locator("#connection")).not_to_have_text(re.compile("Live"))
    fake.start()
    expect(lines.locator("#connection")).to_have_text(re.compile("Live"))
    fake.ship("get_leveldb_stats", "third")

    wait_for_lines(lines, "first", "second", "third")
    forgive(lines, *CUT)


def test_only_so_many_lines_are_kept(lines: Page, fake: FakeLive) -> None:
    fake.ship("get_leveldb_stats", *(f"line {number}" for number in range(MOST_LINES + 500)))

    expect(lines.locator("#lines li").last).to_have_text(re.compile("line 1499"))
    assert lines.locator("#lines li").count() <= MOST_LINES


def test_the_tail_is_followed_until_somebody_scrolls_up(lines: Page, fake: FakeLive) -> None:
    fake.ship("get_leveldb_stats", *(f"line {number}" for number in range(200)))
    expect(lines.locator("#lines li").last).to_be_in_viewport()
    lines.locator("#lines").evaluate("(list) => { list.scrollTop = 0; }")
    expect(lines.locator("#lines-follow")).to_have_attribute("aria-pressed", "false")
    fake.ship("get_leveldb_stats", "newest")
    expect(lines.locator("#lines li")).to_have_count(203)

    assert lines.locator("#lines").evaluate("(list) => list.scrollTop") == 0


def test_an_unknown_metric_is_told(browser: Browser, fake: FakeLive) -> None:
    with tab(browser, f"{fake.url}/#/metric/nowhere") as page:
        expect(page.locator("#metric-trouble")).to_have_text("There is no metric of this name.")


# The newest poll


def test_the_newest_poll_is_a_table_of_its_columns(browser: Browser, fake: FakeLive) -> None:
    fake.ship("get_leveldb_stats", {"msg": "Old", "count": 1})
    fake.ship(
        "get_leveldb_stats", {"msg": "A", "count": 12345678901234567890}, {"msg": None, "count": 2}
    )
    with tab(browser, f"{fake.url}/#/metric/get_leveldb_stats") as page:
        expect(page.locator("#rows thead th")).to_have_text(["msg", "count"])
        expect(page.locator("#rows tbody td")).to_have_text(["A", "12345678901234567890", "", "2"])


def test_a_poll_that_brought_nothing_empties_the_table(browser: Browser, fake: FakeLive) -> None:
    fake.ship("get_leveldb_stats", {"msg": "A"})
    with tab(browser, f"{fake.url}/#/metric/get_leveldb_stats") as page:
        expect(page.locator("#rows tbody td")).to_have_count(1)
        fake.change("get_leveldb_stats", rows_in_last_poll=0, last_poll_at=time.time() + 1)

        expect(page.locator("#rows tbody td")).to_have_count(0)
        expect(page.locator("#rows-note")).to_contain_text("had nothing to report")


def test_labels_are_shown_with_how_many_values_they_took(browser: Browser, fake: FakeLive) -> None:
    fake.change("show_locks", label_values={"username": 100, "lock_mode": 2}, streams=140)
    with tab(browser, f"{fake.url}/#/metric/show_locks") as page:
        expect(page.locator("#metric-labels")).to_contain_text('job="show_locks"')
        expect(page.locator("#metric-labels")).to_contain_text("lock_mode: 2 of 100 values")
        expect(page.locator("#metric-labels")).to_contain_text(
            "username: 100 of 100 values, further ones are no labels"
        )
        expect(page.locator("#metric-labels")).to_contain_text("140 streams")


# SQream


def server_time(seconds_ago: float, form: str = "%d-%m-%Y %H:%M:%S") -> str:
    """Return a time as a server east of Greenwich writes it."""
    moment = time.time() - seconds_ago + SQREAM_HOURS_AHEAD * 3600
    return time.strftime(form, time.gmtime(moment))


def status(number: int, word: str, seconds_ago: float, **columns: Any) -> Message:
    return {
        "service": "etl",
        "instanceid": "node_9384",
        "user_name": "anna",
        "clientip": "192.168.4.31",
        "statementid": number,
        "statement": "insert into trips select 1",
        "statementstarttime": server_time(seconds_ago),
        "statementstatus": word,
        "statementstatusstart": server_time(seconds_ago),
        **columns,
    }


def lock(number: int, locked: str, mode: str, seconds_ago: float, active: int = 1) -> Message:
    return {
        "statement_id": str(number),
        "statement_string": "insert into trips select 1",
        "username": "anna",
        "server": "192.168.4.25",
        "port": "5000",
        "locked_object": locked,
        "lock_mode": mode,
        "lock_start_time": server_time(seconds_ago, "%Y-%m-%d %H:%M:%S"),
        "is_statement_active": active,
    }


def ship_cluster(fake: FakeLive) -> None:
    own = status(178, "Executing", 0, statement="select show_server_status()", service="monitor")
    waiting = status(175, "In queue", 20, instanceid="None")
    fake.ship("show_server_status", own, status(171, "Executing", 90), waiting)
    table = "table$master$public$trips$Insert"
    fake.ship(
        "show_locks",
        lock(171, table, "Inclusive", 80),
        lock(171, "globalpermission$", "Inclusive", 80),
        lock(99, "globalpermission$", "Exclusive", 500, active=0),
    )


def test_locks_are_grouped_by_what_is_locked_with_their_statements(
    browser: Browser, fake: FakeLive
) -> None:
    ship_cluster(fake)
    with tab(browser, f"{fake.url}/#/metric/show_locks") as page:
        expect(page.locator(".objects h3")).to_have_text(
            [
                re.compile("permissions.*exclusive"),
                re.compile(r"master\.public\.trips.*insert.*shared"),
            ]
        )
        expect(page.locator("#part-special > .note")).to_contain_text(
            "3 locks on 2 objects, 1 exclusive, 1 orphaned."
        )
        orphan, held = page.locator(".objects section").first.locator("tbody tr").all()

        expect(orphan).to_contain_text("orphaned lock")
        expect(held).to_contain_text("Inclusive")
        expect(held).to_contain_text("Executing")
        expect(held).to_contain_text("192.168.4.31")
        expect(held.locator("[data-label='Held for']")).to_have_text(re.compile("^8[0-9] s$"))


def test_nothing_locked_is_said_when_the_newest_poll_was_empty(
    browser: Browser, fake: FakeLive
) -> None:
    ship_cluster(fake)
    with tab(browser, f"{fake.url}/#/metric/show_locks") as page:
        expect(page.locator(".objects section")).to_have_count(2)
        fake.change("show_locks", rows_in_last_poll=0, last_poll_at=time.time() + 1)

        expect(page.locator("#part-special > .note")).to_contain_text("Nothing is locked.")
        expect(page.locator(".objects section")).to_have_count(0)


def test_without_statements_locks_are_shown_with_the_server_s_times(browser: Browser) -> None:
    with FakeLive(metric_row("show_locks")) as fake:
        fake.ship("show_locks", lock(171, "database$master", "Inclusive", 80))
        with tab(browser, f"{fake.url}/#/metric/show_locks") as page:
            expect(page.locator("[data-label='Held for']")).to_have_text(re.compile("^since 20.."))
            expect(page.locator("#part-special > .note")).to_contain_text("show_server_status runs")


@pytest.mark.parametrize("spelling", ["docs", "2024"])
def test_statements_are_shown_with_age_status_and_locks(
    browser: Browser, fake: FakeLive, spelling: str
) -> None:
    ship_cluster(fake)
    if spelling == "2024":
        names = {
            "instanceid": "instance_id",
            "statementid": "statement_id",
            "clientip": "client_ip",
        }
        names |= {
            "statementstatus": "statement_status",
            "statementstarttime": "statement_start_time",
        }
        rows = [
            status(178, "Executing", 0),
            status(171, "Executing", 90),
            status(175, "In queue", 20),
        ]
        fake.ship(
            "show_server_status",
            *({names.get(name, name): value for name, value in row.items()} for row in rows),
        )
    with tab(browser, f"{fake.url}/#/metric/show_server_status") as page:
        expect(page.locator("#part-special > .note")).to_contain_text("2 executing, 1 in queue.")
        oldest = page.locator("#part-special tbody tr:not(.group)").first

        expect(oldest.locator("[data-label=Id]")).to_have_text("171")
        expect(oldest.locator("[data-label='Runs for']")).to_have_text(re.compile("^9[0-9] s$"))
        expect(oldest.locator("[data-label=Locks]")).to_have_text("2")
        expect(oldest.locator("[data-label=Client]")).to_have_text("192.168.4.31")


def test_a_metric_of_another_name_is_known_by_its_columns(browser: Browser) -> None:
    with FakeLive(metric_row("sessions")) as fake:
        fake.ship("sessions", status(171, "Executing", 0))
        with tab(browser, f"{fake.url}/#/metric/sessions") as page:
            expect(page.get_by_role("link", name="Statements")).to_have_attribute(
                "aria-current", "page"
            )


# Runs


def run(number: int) -> Message:
    return {
        "run_number": number,
        "start_time": "2026-11-30T12:00:00+00:00",
        "total_tfs": 1200,
        "total_bytes": 3 * 2**30,
        "first_at": "2026-11-30T12:00:00+00:00",
        "last_at": "2026-11-30T12:02:00+00:00",
        "by_status": {"registered": 900, "failed": 300},
        "rate": {"from": 1764504000.0, "bucket_seconds": 60, "counts": [900, 300], "bytes": [9, 3]},
    }


def test_runs_are_hidden_where_none_are_kept(browser: Browser, fake: FakeLive) -> None:
    with tab(browser, fake.url) as page:
        expect(page.locator("#connection")).to_have_text(re.compile("Live"))

        expect(page.get_by_role("link", name="Runs")).to_be_hidden()
        expect(page.get_by_role("link", name="Jobs")).to_be_hidden()


def test_runs_are_listed_and_one_is_shown_with_its_rate(browser: Browser, fake: FakeLive) -> None:
    fake.runs = [run(101), run(100)]
    with tab(browser, fake.url) as page:
        page.get_by_role("link", name="Runs").click()
        first = page.locator("#runs tbody tr").first
        expect(first).to_contain_text("3 GiB")
        expect(first.locator("[data-label='TF/s']")).to_have_text("10")
        page.get_by_role("link", name="100").click()

        expect(page.locator("#run-name")).to_have_text("Run 100")
        expect(page.locator("#run-plot rect")).to_have_count(2)
        expect(page.locator("#run-plot-words")).to_have_text("Most: 15 a second, each bar is 60 s.")
        expect(page.locator("#run-statuses li").first).to_contain_text("900 (75 %)")


def test_a_run_that_goes_on_is_followed(browser: Browser, fake: FakeLive) -> None:
    fake.runs = [run(100)]
    with tab(browser, f"{fake.url}/#/runs/100") as page:
        expect(page.locator("#run-facts")).to_contain_text("1,200")
        fake.runs[0] = {**fake.runs[0], "total_tfs": 1300}

        expect(page.locator("#run-facts")).to_contain_text("1,300")


def test_a_run_that_is_not_there_is_told(browser: Browser, fake: FakeLive) -> None:
    with tab(browser, f"{fake.url}/#/runs/7") as page:
        expect(page.locator("#run-note")).to_have_text("No answer: no run 7.")
        forgive(page, *CUT)


# Jobs


def task(name: str, word: str | None, progress: float | None, *tags: str) -> Message:
    array = {"name": "sum", "type": "array", "nJobs": 250, "status": word, "progress": progress}
    counted = {"DONE": 100, "FAILED": 5, "RUNNING": 0, "PENDING": 145}
    return {
        "name": name,
        "status": word,
        "progress": progress,
        "submittedAt": "2026-11-21T23:25:42",
        "username": "anna",
        "comment": "",
        "tags": list(tags),
        "processes": [{**array, "lastEventClass": "BEAT", "jobs": counted}],
    }


@pytest.fixture
def jobs(browser: Browser, fake: FakeLive) -> Iterator[Page]:
    fake.tasks = [task("big", "RUNNING", 42, "night"), task("small", None, None)]
    job = {"status": "DONE", "lastEventClass": "DONE", "progress": 100, "lastAt": None}
    fake.jobs["big", "sum"] = [{"index": number, **job} for number in range(250)]
    with tab(browser, f"{fake.url}/#/jobs") as page:
        expect(page.locator(".task")).to_have_count(2)
        yield page


def test_tasks_are_shown_with_status_and_progress(jobs: Page, fake: FakeLive) -> None:
    first = jobs.locator(".task").first
    expect(first.locator(".badge").first).to_have_text("running")
    expect(first.get_by_role("progressbar").first).to_have_attribute("aria-valuenow", "42")
    fake.tasks = [task("big", "FAILED", 150, "night"), task("small", None, None)]

    expect(first.locator(".badge").first).to_have_text("failed")
    expect(first.locator(".percent").first).to_have_text("150 %")


def test_a_task_opens_to_its_processes_and_those_to_their_jobs_page_by_page(
    jobs: Page, fake: FakeLive
) -> None:
    jobs.get_by_role("button", name="big").click()
    process = jobs.locator(".task").first.locator(".process")
    expect(process.locator(".words")).to_have_text(
        "array of 250 · 100 done, 5 failed, 145 pending · last event BEAT"
    )
    assert [asked for asked in fake.asked if "/sum" in asked] == []
    process.get_by_role("button", name="sum").click()
    expect(process.locator("tbody tr")).to_have_count(100)
    process.get_by_role("button", name="Later").click()
    expect(process.locator(".pages")).to_contain_text("101 to 200 of 250")
    process.get_by_role("button", name="Later").click()

    expect(process.locator("tbody tr")).to_have_count(50)
    expect(process.locator("tbody tr").last).to_contain_text("249")


def test_tasks_are_found_by_their_tags(jobs: Page, fake: FakeLive) -> None:
    jobs.keyboard.press("/")
    jobs.keyboard.type("night")

    expect(jobs.locator(".task")).to_have_count(1)
    assert any("tags=night" in asked for asked in fake.asked)


def test_open_jobs_do_not_stick_out_of_a_narrow_window(jobs: Page) -> None:
    jobs.set_viewport_size({"width": NARROW["width"], "height": NARROW["height"]})
    jobs.get_by_role("button", name="big").click()
    jobs.get_by_role("button", name="sum").click()
    expect(jobs.locator(".process tbody tr")).to_have_count(100)

    assert jobs.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
