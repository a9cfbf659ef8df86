"""How the page looks: on light and dark screens, and on paper."""

STYLE = """
:root { color-scheme: light dark;
  --page: #f6f7f8; --card: #ffffff; --ink: #1b1f24; --soft: #57606a; --rule: #d9dde1; --grid: #eaecef; --code: #f1f3f5;
  --good: #1a7f37; --bad: #c62828; --warn: #8a5a00; --calm: #57606a;
  --c0: #2563c9; --c1: #c2410c; --c2: #0f766e; --c3: #8b35d6; --c4: #946200; --c5: #be185d; --c6: #4d7c0f; --c7: #475569; }
@media screen and (prefers-color-scheme: dark) { :root {
  --page: #121518; --card: #1b1f23; --ink: #e6e9ec; --soft: #a3abb4; --rule: #343a41; --grid: #282d32; --code: #23282d;
  --good: #4ac26b; --bad: #ff7b72; --warn: #e3b341; --calm: #a3abb4;
  --c0: #79b0ff; --c1: #ff9b63; --c2: #4fd1bf; --c3: #c9a0ff; --c4: #e3b341; --c5: #ff8fbf; --c6: #a5d65a; --c7: #b0bac5; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 32px 24px 48px; }
h1 { margin: 0; font-size: 28px; line-height: 1.2; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { margin: 40px 0 12px; font-size: 17px; }
p { margin: 6px 0; }
code, pre { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
code { background: var(--code); border-radius: 4px; padding: 1px 5px; overflow-wrap: anywhere; }
a { color: var(--c0); }
.soft, .note, footer { color: var(--soft); }
.note { font-size: 13px; }
.title { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 16px; }
.badge { display: inline-flex; align-items: center; gap: 7px; padding: 3px 12px 3px 9px; border: 1.5px solid currentColor;
  border-radius: 999px; font-weight: 600; white-space: nowrap; }
.badge svg { width: 15px; height: 15px; fill: none; stroke: currentColor; stroke-width: 2.2; stroke-linecap: round;
  stroke-linejoin: round; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); } .calm { color: var(--calm); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; margin: 24px 0 0; padding: 0;
  list-style: none; }
.tiles li, .card, .chart { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; }
.tiles li { padding: 12px 16px; }
.tiles b { display: block; font-size: 22px; font-weight: 650; line-height: 1.3; font-variant-numeric: tabular-nums; }
.tiles span { color: var(--soft); font-size: 13px; }
.card { padding: 8px 18px; overflow-x: auto; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 5px 22px; margin: 8px 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 14px; }
.chart { margin: 0; padding: 14px 16px 12px; min-width: 0; }
.chart figcaption { font-weight: 600; margin-bottom: 6px; overflow-wrap: anywhere; }
.chart svg { display: block; width: 100%; height: auto; }
.chart .tick, .chart .label { font-size: 11.5px; fill: var(--soft); font-variant-numeric: tabular-nums; }
.grid { stroke: var(--grid); } .axis { stroke: var(--rule); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.dashed { stroke-dasharray: 6 4.5; }
.c0 { stroke: var(--c0); } .c1 { stroke: var(--c1); } .c2 { stroke: var(--c2); } .c3 { stroke: var(--c3); }
.c4 { stroke: var(--c4); } .c5 { stroke: var(--c5); } .c6 { stroke: var(--c6); } .c7 { stroke: var(--c7); }
.dot { fill: var(--card); stroke-width: 1.6; } .bar { stroke-width: 18; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 8px 0 0; padding: 0; list-style: none; font-size: 13px;
  color: var(--soft); overflow-wrap: anywhere; }
.legend b { color: var(--ink); font-variant-numeric: tabular-nums; }
.chart svg.swatch { display: inline-block; width: 24px; height: 8px; margin-right: 6px; vertical-align: 1px; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 500; color: var(--soft); }
th, td { padding: 5px 16px 5px 0; border-bottom: 1px solid var(--grid); overflow-wrap: anywhere; }
tr:last-child td { border-bottom: 0; }
.count { text-align: right; white-space: nowrap; padding-right: 0; font-variant-numeric: tabular-nums; }
details { margin: 8px 0; } summary { cursor: pointer; color: var(--soft); }
pre { margin: 0; padding: 10px 0; white-space: pre-wrap; overflow-wrap: anywhere; }
footer { margin-top: 40px; font-size: 13px; }
@media (max-width: 560px) { main { padding: 20px 14px 32px; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: 8px; } }
@media print { body { background: none; font-size: 12px; } main { max-width: none; padding: 0; }
  .chart, .tiles li, dl, tr { break-inside: avoid; } h2 { break-after: avoid; } .charts { grid-template-columns: 1fr 1fr; }
  pre, code { font-size: 10px; } .chart, .card, .tiles li { border-color: #bbb; } }
"""
