"""The page: self-contained, well-formed, complete, harmless whatever stands in the journal; and always the same."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.batch import Address
from bridge.journal import Observation
from bridge.modes import Mode, Switch
from bridge.readiness import Evidence, Terms, Window, assess, describe_report, render_page
from bridge.steering.observing import Topic

Make = Callable[..., Any]
HOSTILE = """</script><img src=x onerror=alert(1)>"'><svg/onload=x>&lt;\x00\x1b[31m\u202e{{7*7}}"""
VOID = {"meta", "rect", "line"}
KNOWN = set(
    re.findall(
        r"\w+",
        "html head meta title style body header h1 h2 h3 p div strong nav ul li a main section article span details "
        "summary dl dt dd small figure figcaption svg desc defs pattern g rect line text table caption thead tbody "
        "tr th td code footer",
    )
)


class Reader(HTMLParser):
    """Reads a page as a browser would, and fails on whatever should not be there."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.refers: list[str] = []
        self.seen: set[str] = set()
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in KNOWN, tag
        self.seen.add(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in {"src", "style", "srcset", "action"}
            if name == "href":
                assert value is not None
                assert value.startswith("#")
                self.refers.append(value[1:])
            if name == "id":
                self.ids.append(value or "")
            if name == "aria-labelledby":
                self.refers += (value or "").split()
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    assert len(set(reader.ids)) == len(reader.ids)
    assert set(reader.refers) <= set(reader.ids)
    return reader


@pytest.fixture
def full(spoil: Make, seen: Make, sample: Make, rule: Make, rules: Make) -> Evidence:
    """Evidence for every chapter, with hostile values wherever a value may come from outside."""
    evidence: Evidence = spoil(
        seen(Topic.COMPARED, "different", count=3),
        seen(Topic.COMPARED, "excused", count=2),
        seen(Topic.PAIR, "left_out", count=2),
        seen(Topic.DIFFERENCE, f"invoice.{HOSTILE}", "value", "different", f"expired: {HOSTILE}", HOSTILE, count=3),
        seen(Topic.DIFFERENCE, "invoice.ids.caseNumber", "value", "excused", "ids", "x/y.toml: z", count=2),
        seen(Topic.DIFFERENCE, "invoice.ids", "missing", "excused", "gone", "", count=1),
        seen(Topic.UNKNOWN, "autocollect", "invoice", HOSTILE),
        seen(Topic.NOISE, HOSTILE),
        samples=[
            sample(f"invoice.{HOSTILE}", legacy=HOSTILE, bridge=f'"{"x" * 400}"', address=Address("invoice", 3)),
            sample("invoice.ids.caseNumber", legacy="", bridge=HOSTILE),
        ],
        rules=rules(
            replace(rule("ids", "invoice.ids.caseNumber"), owner=HOSTILE, reason=HOSTILE),
            rule("gone-by", expires=rule("x").expires.replace(year=2020)),
        ),
        history=[Switch("o", Mode.SHADOW, number=2, at=1_795_100_000.0, actor=HOSTILE, reason=HOSTILE)],
        name=HOSTILE,
    )
    return evidence


def test_whatever_stands_in_the_journal_is_only_text(full: Evidence, terms: Terms) -> None:
    """No value becomes markup, and none hides or turns around what stands beside it."""
    page = render_page(assess(full, terms))
    reader = read(page)
    assert "<img" not in page
    assert "onerror=" in "".join(reader.said)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", page)
    page.encode()


def test_it_needs_no_network_and_no_scripts(full: Evidence, terms: Terms) -> None:
    """Nothing is loaded, and a browser is told to load nothing."""
    page = render_page(assess(full, terms))
    assert "default-src 'none'" in page
    assert not re.search(r"<script|<link|<iframe|@import|https?://|url\((?!#hatch)", page)


def test_it_holds_every_chapter(full: Evidence, terms: Terms) -> None:
    """The verdict first, then reasons, buckets, plots with tables, tree and samples, coverage, rules, switches."""
    page = render_page(assess(full, terms))
    order = ["<strong>NO-GO</strong>", "Reasons</h2>", 'class="buckets"', 'id="rows-plot-title"', 'class="tree"']
    order += ["Parts exercised", "Rules that concern", "Switches, newest first"]
    places = [page.index(one) for one in order]
    assert places == sorted(places)
    assert {"details", "table", "desc", "th"} <= read(page).seen
    assert "caseNumber" in page
    assert "x" * 299 in page
    assert "x" * 301 not in page
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_bars_stand_inside_their_plot(full: Evidence, terms: Terms) -> None:
    """On the ground line, on top of one another, none beyond the highest."""
    page = render_page(assess(full, terms))
    bars = re.findall(r'<rect class="\w+" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"/>', page)
    plotted = [tuple(map(float, bar)) for bar in bars if float(bar[3]) != 4]
    assert len(plotted) == 7 + 6
    assert all(x >= 70 and x + width <= 750 and y >= 11.99 and y + height <= 172.01 for x, y, width, height in plotted)
    assert min(y for _, y, _, _ in plotted) == 12


def test_nothing_to_show_is_said(good: Evidence, terms: Terms) -> None:
    """An empty chapter says that it is empty; a journal without observations makes a page as well."""
    page = render_page(assess(good, terms))
    assert "Nothing speaks against it." in page
    empty = render_page(assess(replace(good, observations=[], parts=[], name=""), terms))
    reader = read(empty)
    assert "NO-GO" in empty
    assert good.organization in "".join(reader.said)


def test_a_short_window_is_told_by_the_hour(good: Evidence, terms: Terms) -> None:
    """Up to three days have a bar for each hour."""
    short = assess(replace(good, window=Window(good.window.on, 3)), terms)
    assert (len(short.traffic.spans), short.traffic.spans[0].label) == (72, "2026-11-18 00:00")
    assert "Rows by hour" in render_page(short)
    assert len(assess(good, terms).traffic.spans) == 14


def test_the_same_evidence_gives_the_same_bytes(full: Evidence, terms: Terms) -> None:
    """In whatever order the journal told it."""
    first = assess(full, terms)
    shuffled = list(full.observations)
    random.Random(1).shuffle(shuffled)
    again = assess(replace(full, observations=shuffled, samples=list(reversed(full.samples))), terms)
    assert render_page(again) == render_page(first)
    assert msgspec.json.encode(describe_report(again)) == msgspec.json.encode(describe_report(first))


def test_the_document_for_scripts_says_the_same(full: Evidence, terms: Terms) -> None:
    """Verdict, reasons with figures, differences with samples, coverage, rules, switches."""
    document = json.loads(msgspec.json.encode(describe_report(assess(full, terms))))
    assert document["verdict"] == "NO-GO"
    assert (document["from"], document["to"]) == ("2026-11-07", "2026-11-20")
    assert document["rows"] == {"same": 1500, "different": 3, "excused": 2}
    assert document["exchanges"] == {"compared": 150, "left_out": 2, "unreadable": 0}
    lapsed = next(each for each in document["differences"] if each["path"] == "invoice.ids")
    assert [way["state"] for way in lapsed["ways"]] == ["excuse lapsed"]
    assert {"too_little_traffic"}.isdisjoint(reason["code"] for reason in document["reasons"])
    assert [rule["id"] for rule in document["rules"]] == ["ids", "gone-by"]
    assert document["switches"][0]["to"] == "shadow"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["invoice.a", "invoice.a.b", "batch.statuscode", "odd"]),
            st.sampled_from(["missing", "value", "verdict"]),
            st.sampled_from(["different", "excused"]),
            st.sampled_from(["", "noise", "not predicted", "r1", "expired: r1"]),
            st.integers(1, 10**9),
            st.integers(-1, 16),
        ),
        max_size=30,
    )
)
def test_no_difference_is_lost_or_counted_twice(
    found: list[tuple[str, str, str, str, int, int]],
) -> None:
    """The tree and the reasons have just as many as were seen in the window."""
    window = Window(date(2026, 11, 20), 14)
    observations = [
        Observation("o", window.since + day * 86_400, Topic.DIFFERENCE, (path, kind, bucket, excuse, ""), count)
        for path, kind, bucket, excuse, count, day in found
    ]
    evidence = Evidence("o", "", window, Switch("o", Mode.SHADOW), observations)
    report = assess(evidence, Terms(1, 1, 14, 5))
    inside = [one for one in found if 0 <= one[5] < 14]
    assert sum(way.count for each in report.differences for way in each.ways) == sum(one[4] for one in inside)
    told = {reason.code: dict(reason.figures) for reason in report.reasons}
    unexplained = sum(one[4] for one in inside if one[2] == "different")
    assert told.get("unexplained_differences", {}).get("differences", 0) == unexplained
    read(render_page(report))
