/**
 * The look of the status page: calm, one column, light and dark by the reader's system, at ease on 360 px. Colours keep a
 * contrast of 4.5 to 1 (WCAG AA), and none carries a meaning that a word does not. Loaded with the page only.
 */

/** The style sheet, exactly as it stands between the tags: its hash is in the policy. */
export const STYLE = `
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--text:#1c2430;--soft:#556070;--line:#e1e5ea;--link:#0b5cad;
--good:#12683a;--good-bg:#e6f5ec;--bad:#a3231b;--bad-bg:#fdecea;--wait:#7a4b00;--wait-bg:#fdf2dc;--busy:#1f4e9e;--busy-bg:#e8effb}
@media(prefers-color-scheme:dark){:root{--bg:#12161c;--card:#1a2029;--text:#e4e9f0;--soft:#a3afbf;--line:#2c3542;--link:#7db7ff;
--good:#7fdca4;--good-bg:#14301f;--bad:#ff9c94;--bad-bg:#3a1a19;--wait:#f2c46d;--wait-bg:#352812;--busy:#9dc1ff;--busy-bg:#182846}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
.page{max-width:54rem;margin:0 auto;padding:1.25rem 1rem 3rem}
header{display:flex;flex-wrap:wrap;gap:.25rem 1rem;align-items:baseline;justify-content:space-between;margin-bottom:1rem;color:var(--soft);font-size:.9rem}
header strong{color:var(--text);font-size:1rem}
h1{margin:0;font-size:clamp(1.9rem,7vw,2.9rem);line-height:1.1;letter-spacing:-.02em;font-weight:700}
h2{margin:0 0 .75rem;font-size:1.05rem}
p{margin:.35rem 0 0}
a{color:var(--link)}
a:focus-visible{outline:3px solid var(--link);outline-offset:2px;border-radius:2px}
code{font:.875em/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;unicode-bidi:isolate}
section{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:1.1rem 1.25rem;margin-top:1rem;overflow-wrap:anywhere}
.soft{color:var(--soft)}
.small{font-size:.875rem}
.hero{border-left:10px solid;padding:1.4rem 1.4rem 1.5rem}
.hero .mark{display:inline-block;margin-right:.15em}
.hero p{font-size:1.05rem;color:var(--text)}
.hero .why{font-weight:600}.why,.reason{white-space:pre-line}
.good{color:var(--good)}.bad{color:var(--bad)}.wait{color:var(--wait)}.busy{color:var(--busy)}
.hero.good{background:var(--good-bg);border-color:var(--good)}
.hero.bad{background:var(--bad-bg);border-color:var(--bad)}
.hero.busy{background:var(--busy-bg);border-color:var(--busy)}
.hero.wait{background:var(--wait-bg);border-color:var(--wait)}
.hero p.wait{color:var(--wait);font-weight:600}.hero p.soft{color:var(--soft)}
.fix{margin-top:.9rem}
.copy{margin:.5rem 0 0;padding:.6rem .8rem;border:1px solid var(--line);border-radius:8px;background:var(--card);color:var(--text);overflow-x:auto;user-select:all}
.note{background:var(--wait-bg);border-color:var(--wait)}
.note h2{color:var(--wait)}
.badge{display:inline-block;padding:.05rem .55rem;border-radius:99px;font-size:.85rem;font-weight:600}
.badge.good{background:var(--good-bg)}.badge.bad{background:var(--bad-bg)}.badge.wait{background:var(--wait-bg)}.badge.busy{background:var(--busy-bg)}
.two{display:grid;gap:0 1rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr))}
dl{margin:0;display:grid;grid-template-columns:minmax(6.5rem,max-content) 1fr;gap:.3rem 1rem}
p+dl{margin-top:.7rem}h3{margin:1rem 0 .6rem}
dt{color:var(--soft)}dd{margin:0;min-width:0}
ul,ol{list-style:none;margin:0;padding:0}
.files li{padding:.55rem 0;border-top:1px solid var(--line)}
.files li:first-child{border-top:0;padding-top:0}
.files .reason{margin-top:.2rem}
.strips{display:flex;flex-wrap:wrap;gap:.75rem 1.5rem;align-items:end;margin-bottom:1.1rem}
.strip{margin:0;min-width:0;max-width:100%}.strip svg{display:block;max-width:100%}.strip figcaption{margin-top:.25rem}
.strip:has(.hour){flex:1 1 16rem}.hour{width:100%;height:.9rem;border-radius:4px}
.strip rect{fill:currentColor}.strip .unseen{fill:var(--line)}
.changes{margin-top:.2rem;color:var(--text)}
.timeline>li{position:relative;padding:0 0 1.1rem 1.6rem;border-left:2px solid var(--line);margin-left:.4rem}
.timeline>li:last-child{padding-bottom:0;border-color:transparent}
.timeline>li::before{content:"";position:absolute;left:-.5rem;top:.4rem;width:.85rem;height:.85rem;border-radius:50%;background:currentColor;border:3px solid var(--card);box-shadow:0 0 0 2px currentColor;transform:scale(.8)}
.timeline .line{display:flex;flex-wrap:wrap;gap:.2rem .75rem;align-items:baseline;color:var(--text)}
.timeline .reason{margin-top:.2rem;color:var(--text)}
details{margin-top:.75rem}summary{cursor:pointer;color:var(--link)}summary:focus-visible{outline:3px solid var(--link);outline-offset:2px;border-radius:2px}details[open] summary{margin-bottom:.5rem}
table{width:100%;border-collapse:collapse;font-size:.9rem}
th,td{text-align:left;vertical-align:top;padding:.4rem .75rem .4rem 0;border-top:1px solid var(--line);font-weight:400}
thead th{border-top:0;padding-top:0;color:var(--soft);font-size:.85rem}
td:last-child,th:last-child{padding-right:0}
footer{margin-top:1.5rem;color:var(--soft);font-size:.875rem}
footer a{margin-right:1rem}
@media(max-width:34rem){section{padding:1rem}thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
tr{display:block;border-top:1px solid var(--line);padding:.45rem 0}th,td{display:block;border:0;padding:0}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}}
@media(prefers-contrast:more){:root{--soft:var(--text);--line:currentColor}}
`;
