"""How the page looks: light and dark, on screens and on paper."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark;
  --ground: #fff; --ink: #1b1f24; --quiet: #57606a; --line: #d0d7de; --card: #f6f8fa;
  --go: #116329; --stop: #a40e26; --look: #7d4e00; --note: #0a4a8a;
  --same: #2f7ebd; --excused: #a87400; --different: #c2371a; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #11151a; --ink: #e6e9ed; --quiet: #9aa4af; --line: #39424d; --card: #1a2027;
  --go: #5fd38a; --stop: #ff8a80; --look: #f0c068; --note: #8cc4ff;
  --same: #5aa5e0; --excused: #e8b93c; --different: #ff7657; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { font-size: 1.5rem; margin: 0; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
h3 { font-size: 1rem; margin: 0; }
p { margin: .4rem 0; max-width: 46rem; }
code { font: .88em ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere;
  unicode-bidi: isolate; background: var(--card); padding: 0 .2em; border-radius: 3px; }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1rem; padding: 0; list-style: none; font-size: .9rem; }
a { color: var(--note); }
.quiet { color: var(--quiet); }
.verdict { border: 2px solid; border-radius: 8px; padding: .8rem 1.2rem; margin: 1rem 0; }
.verdict strong { font-size: 2rem; line-height: 1.2; display: block; }
.go { color: var(--go); } .no-go { color: var(--stop); }
.verdict p { color: var(--ink); }
.reason { border-left: 4px solid var(--line); background: var(--card); padding: .5rem .9rem; margin: .6rem 0; }
.reason .severity { font-size: .8rem; font-weight: 600; text-transform: uppercase; letter-spacing: .04em; }
.reason.blocks { border-color: var(--stop); } .reason.blocks .severity { color: var(--stop); }
.reason.look { border-color: var(--look); } .reason.look .severity { color: var(--look); }
.reason.note { border-color: var(--note); } .reason.note .severity { color: var(--note); }
.buckets { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .8rem;
  margin: .8rem 0; padding: 0; }
.buckets div { background: var(--card); border-top: 5px solid; border-radius: 4px; padding: .5rem .9rem; }
.buckets dt { color: var(--quiet); } .buckets dd { margin: 0; font-size: 1.6rem; }
.buckets .same { border-color: var(--same); } .buckets .excused { border-color: var(--excused); }
.buckets .different { border-color: var(--different); border-top-style: double; }
figure { margin: 1rem 0; } figcaption { font-size: .9rem; margin-bottom: .3rem; }
svg { width: 100%; height: auto; } .hatching { position: absolute; width: 0; height: 0; }
svg.share { height: 1rem; display: block; }
svg text { fill: var(--quiet); font-size: 11px; }
.key svg { width: .8em; height: .8em; } .key { margin-left: .8em; white-space: nowrap; }
rect.same { fill: var(--same); } rect.excused { fill: var(--excused); }
rect.different { fill: url(#hatch) var(--different); }
.key rect.different, .share rect.different { fill: var(--different); }
.hatch-ground { fill: var(--different); } .hatch-line { stroke: var(--ground); stroke-width: 1.4; }
.axis { stroke: var(--quiet); } .grid { stroke: var(--line); stroke-dasharray: 3 3; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; margin: .4rem 0; }
caption { text-align: left; color: var(--quiet); font-size: .85rem; padding-bottom: .2rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line);
  unicode-bidi: isolate; overflow-wrap: anywhere; }
th { font-weight: 600; } .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
details { margin: .2rem 0; } summary { cursor: pointer; }
.tree details, .tree .leaf { margin-left: 1rem; } .tree > details { margin-left: 0; }
.state-different { color: var(--stop); font-weight: 600; } .state-look { color: var(--look); }
ul { padding-left: 1.3rem; margin: .3rem 0; }
@media print { body { max-width: none; padding: 0; font-size: 10pt; } nav { display: none; }
  details::details-content { content-visibility: visible; block-size: auto; }
  .reason, figure, tr, .buckets div { break-inside: avoid; } h2 { break-after: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
""".strip()
