// The looks of the page, in light and dark, on a screen and a phone.

export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1b1f24; --soft: #5d6772; --rule: #dfe3e8; --tint: #f4f6f8; --bar: #3b7dd8; --good: #14713a; --bad: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --ink: #e7eaee; --soft: #9aa5b1; --rule: #2e343b; --tint: #1c2026; --bar: #5b9cf0; --good: #5fce8b; --bad: #ff8a80;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; -webkit-text-size-adjust: 100%;
}
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
p { margin: .25rem 0 .75rem; }
.soft { color: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 1rem 0; font-size: .9rem; }
dt { color: var(--soft); }
dd { grid-column: 2; margin: 0; overflow-wrap: anywhere; }
.warnings { border-left: 4px solid var(--bad); background: var(--tint); margin: 1rem 0; padding: .5rem 1rem; font-size: .9rem; }
.warnings summary { font-weight: 600; cursor: pointer; }
.warnings ul { margin: .25rem 0; padding-left: 1.2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: separate; border-spacing: 0; font-size: .85rem; width: 100%; }
th, td { padding: .25rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.name, th.name { position: sticky; left: 0; background: var(--paper); white-space: normal; min-width: 10rem; max-width: 45vw; padding-left: 0; }
table.compared td:last-child { white-space: normal; min-width: 11rem; }
tr.group th { color: var(--ink); padding: .9rem 0 .25rem; border-bottom: 1px solid var(--soft); }
.pass { color: var(--good); }
.fail { color: var(--bad); font-weight: 600; }
.bars { display: grid; grid-template-columns: fit-content(45%) 1fr max-content; gap: .3rem .75rem; align-items: center; font-size: .9rem; }
.bars .group { grid-column: 1 / -1; font-weight: 600; margin-top: .5rem; }
.bars .track { position: relative; height: 1.1rem; background: var(--tint); border-radius: 3px; }
.bars .fill { position: absolute; inset: 0 auto 0 0; background: var(--bar); border-radius: 3px; }
.bars .fill.off { opacity: .4; }
.bars .range { position: absolute; top: .5rem; height: 2px; background: var(--ink); }
.bars .value { text-align: right; font-variant-numeric: tabular-nums; }
@media (max-width: 40rem) {
  .bars { grid-template-columns: 1fr max-content; }
  .bars .series { grid-column: 1 / -1; }
}
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 1rem 2rem; }
.charts.wide { grid-template-columns: 1fr; }
.chart { min-width: 0; }
.chart .uplot, .chart .u-legend { font-family: inherit; }
.chart .u-legend { text-align: left; font-size: .8rem; color: var(--ink); width: auto; }
.chart .u-legend th, .chart .u-legend td { border: 0; padding: .1rem .3rem; color: var(--ink); font-weight: 400; white-space: normal; }
.chart .u-legend td { font-variant-numeric: tabular-nums; min-width: 4rem; }
.chart .u-inline.u-live th::after { content: ''; }
.charts + .scroll { margin-top: 1.5rem; }
.chart .u-legend .u-marker { border-radius: 2px; }
.chart .u-cursor-x, .chart .u-cursor-y { border-color: var(--soft); }
`;
