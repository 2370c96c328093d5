/** The style sheet of a report page: system fonts, one column of 1120 px, both colour schemes, phone and print. */
import { paletteDeclarations } from './palette.ts';

const SANS = 'system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif';
const MONO = 'ui-monospace,"SF Mono","Cascadia Mono","DejaVu Sans Mono",Menlo,Consolas,monospace';

/** CSS text; deterministic, no external resource. */
export function pageStyle(): string {
  return `
:root{color-scheme:light dark;${paletteDeclarations('light')}}
@media (prefers-color-scheme:dark){:root{${paletteDeclarations('dark')}}}
*,::before,::after{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%;scroll-padding-top:1rem}
body{margin:0;background:var(--surface);color:var(--ink);font:400 15px/1.55 ${SANS};font-variant-numeric:tabular-nums}
.page{max-width:1168px;margin:0 auto;padding:0 24px 64px}
a{color:var(--blue);text-underline-offset:.15em}
a:focus-visible,summary:focus-visible,.scroll:focus-visible{outline:2px solid var(--blue);outline-offset:2px;border-radius:3px}
h1,h2,h3,p,dl,dd,figure,ul{margin:0}
h1{font-size:30px;line-height:1.2;font-weight:650;letter-spacing:-.015em;overflow-wrap:anywhere}
h2{font-size:21px;line-height:1.3;font-weight:650;letter-spacing:-.01em}
h3{font-size:15px;line-height:1.4;font-weight:600}
code,.code{font-family:${MONO};font-size:.9em}
.skip{position:absolute;left:-999px}
.skip:focus{left:24px;top:8px;background:var(--surface);padding:6px 10px;z-index:1}
.brand{display:flex;justify-content:space-between;gap:16px;flex-wrap:wrap;padding:18px 0;color:var(--muted);font-size:13px}
.brand b{color:var(--ink);font-weight:600}
.chapter-head{padding:14px 0 0}
.subtitle{color:var(--muted);margin-top:4px}
.verdict{margin-top:18px;padding:16px 18px;background:var(--panel);border-radius:10px;border-left:4px solid var(--green)}
.verdict.warn{border-left-color:var(--orange)}
.verdict.plain{border-left-color:var(--grey)}
.verdict.bad{border-left-color:var(--vermillion)}
.verdict p{font-size:17px;line-height:1.5;max-width:80ch}
.badges{display:flex;flex-wrap:wrap;gap:6px 16px;margin:0 0 8px;padding:0;list-style:none;font-size:13px;font-weight:600}
.badges li{display:flex;align-items:center;gap:7px}
.badges li::before{content:"";width:9px;height:9px;border-radius:50%;background:var(--grey)}
.badges .good::before{background:var(--green)}
.badges .warn::before{background:var(--orange);border-radius:2px}
.badges .bad::before{background:var(--vermillion);border-radius:0;transform:rotate(45deg)}
.checks{margin:12px 0 0;padding:0;list-style:none;font-size:15px}
.checks li{display:grid;grid-template-columns:1.3em minmax(0,1fr);padding:2px 0;max-width:90ch;overflow-wrap:anywhere}
.checks li>span{font-weight:700}
.checks .good>span{color:var(--green)}
.checks .warn>span{color:var(--orange)}
.checks .bad>span{color:var(--vermillion)}
.tiles{display:flex;flex-wrap:wrap;gap:1px;margin:18px 0 0;background:var(--rule);border:1px solid var(--rule);border-radius:10px;overflow:hidden}
.tile{background:var(--surface);padding:13px 16px 14px;min-width:0;flex:1 1 18%}
.tiles:has(>:nth-child(6):last-child) .tile{flex-basis:30%}
.tile dt{color:var(--muted);font-size:13px;line-height:1.35}
.tile .value{font-size:25px;line-height:1.25;font-weight:600;letter-spacing:-.02em;white-space:nowrap}
.tile .detail{color:var(--muted);font-size:12.5px;line-height:1.4}
.tile.alert{box-shadow:inset 0 3px 0 var(--vermillion)}
.answers{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:18px 40px;margin:26px 0 0}
.answers dt{font-weight:600}
.answers dd{color:var(--ink);max-width:64ch;overflow-wrap:anywhere}
.answers .open dd{color:var(--muted)}
.answers .open dt::after{content:" not answered here";font-weight:400;font-size:12.5px;color:var(--muted)}
.provenance{margin:28px 0 0;padding:16px 18px;border:1px solid var(--rule);border-radius:10px}
.provenance h2{font-size:15px}
.share{display:flex;height:12px;margin:10px 0 8px;border-radius:3px;overflow:hidden;gap:2px;background:var(--grid)}
.share span{min-width:0}
.keys{display:flex;flex-wrap:wrap;gap:4px 20px;margin:0;padding:0;list-style:none;font-size:13.5px}
.keys li{display:flex;align-items:center;gap:7px}
.keys i{width:10px;height:10px;border-radius:2px;flex:none}
.provenance p{margin-top:8px;color:var(--muted);font-size:13.5px;max-width:100ch}
nav.contents{margin:28px 0 0;font-size:14px}
nav.contents ul{display:flex;flex-wrap:wrap;gap:6px 20px;padding:10px 0;list-style:none;border-top:1px solid var(--rule);border-bottom:1px solid var(--rule)}
section.part{padding-top:44px}
section.part>h2{padding-bottom:8px;border-bottom:1px solid var(--rule);margin-bottom:18px}
section.part>*+*{margin-top:18px}
section.part>p{max-width:80ch}
.chapter+.chapter,.part+.chapter{margin-top:64px;border-top:3px solid var(--ink)}
.chapter-head h2{font-size:26px}
h3.section{font-size:21px;font-weight:650;padding-bottom:8px;border-bottom:1px solid var(--rule);margin-bottom:18px}
.overview>*+*{margin-top:18px}
div.overview{margin-top:20px}
section.overview{padding-top:14px}
.facts{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:5px 28px}
.facts dt{color:var(--muted)}
.facts dd{overflow-wrap:anywhere;max-width:92ch}
.charts{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:30px 32px}
.chart.full{grid-column:1/-1}
.columns{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:24px 32px;align-items:start}
.columns .charts{grid-template-columns:minmax(0,1fr)}
.chart svg{display:block;width:100%;height:auto;margin-top:8px;overflow:visible}
.chart svg text{font-family:${SANS}}
.chart .narrow{display:none}
.chart figcaption{display:flex;justify-content:space-between;align-items:baseline;gap:12px;flex-wrap:wrap}
.files{font-size:12.5px;color:var(--muted);white-space:nowrap}
.files a{color:inherit}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px;line-height:1.4}
h4{margin:0 0 7px;font-size:15px;line-height:1.4;font-weight:600}
th,td{padding:6px 10px;text-align:left;vertical-align:top;border-bottom:1px solid var(--grid)}
th:first-child,td:first-child{padding-left:0}
th:last-child,td:last-child{padding-right:0}
thead th{color:var(--muted);font-weight:500;font-size:13px;border-bottom-color:var(--rule);vertical-align:bottom;white-space:nowrap}
tbody th{font-weight:400}
.n{text-align:right;white-space:nowrap}
td.wrap{min-width:15em}
.scroll:not(.fit) tbody :is(th,td):not(.wrap){white-space:nowrap}
.fit table{width:auto;min-width:min(100%,440px)}
.columns .fit table{width:100%}
details>summary{cursor:pointer;font-weight:600;padding:2px 0}
details>summary .count{color:var(--muted);font-weight:400}
details[open]>summary{margin-bottom:6px}
.note{color:var(--muted);font-size:13.5px}
section.part>ul{padding-left:1.2em;max-width:80ch}
footer{margin-top:56px;padding-top:14px;border-top:1px solid var(--rule);color:var(--muted);font-size:13px}
@media (max-width:900px){.tiles .tile,.tiles:has(>:nth-child(6):last-child) .tile{flex-basis:40%}
.answers,.charts,.columns{grid-template-columns:minmax(0,1fr)}.chart.half{max-width:544px}}
@media (max-width:640px){.page{padding:0 16px 48px}h1{font-size:25px}.tile{padding:11px 12px 12px}.tile .value{font-size:22px}
.verdict p{font-size:16px}.chart .wide{display:none}.chart .narrow{display:block}
.facts{grid-template-columns:minmax(0,1fr);gap:0}.facts dd{margin-bottom:8px}}
@page{margin:14mm}
@media print{:root{color-scheme:light;${paletteDeclarations('light')}}body{font-size:10.5pt}.page{max-width:none;padding:0}
.share,.keys i,.badges li::before{print-color-adjust:exact;-webkit-print-color-adjust:exact}nav.contents,.skip,.files{display:none}.chart,.tile,tr,.verdict{break-inside:avoid}h2,h3,h4{break-after:avoid}
.scroll{overflow:visible}details>*{display:revert}a{color:inherit;text-decoration:none}}
`.trim();
}
