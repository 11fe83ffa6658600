"""The script in a page that puts JPEG fallbacks in place of pictures while the page is printed.

Chromium puts a JPEG into a PDF as it is, and of every other format the pixels: several times the
bytes. It does not wait for a file that only paper asks for, so the JPEG has to be there when the
event before printing ends: hence a request that blocks, and a `data:` address. A picture whose JPEG
cannot be had stays as it is. Other browsers print the pixels of a JPEG, too; they have no
`userAgentData`, and do nothing.
"""

from __future__ import annotations

_LINES = r"""
if(navigator.userAgentData){let kept=[];
const put=(e,given)=>{const old={};
for(const n in given){old[n]=e.getAttribute(n);
given[n]===null?e.removeAttribute(n):e.setAttribute(n,given[n])}
kept.push([e,old])};
const jpeg=i=>{const r=new XMLHttpRequest;
if(!/\.jpe?g$/i.test(new URL(i.src).pathname))return;
r.open("GET",i.src,false);r.overrideMimeType("text/plain;charset=x-user-defined");r.send();
if(r.status!==200)return;
const b=r.responseText.replace(/[^\0-\x7f]/g,c=>String.fromCharCode(c.charCodeAt(0)&255));
for(const s of i.parentNode.querySelectorAll("picture>source"))put(s,{media:"not all"});
put(i,{srcset:"",loading:"eager",src:"data:image/jpeg;base64,"+btoa(b)})};
addEventListener("beforeprint",()=>document.querySelectorAll(
"picture[data-sitecodec]>img,img[data-sitecodec][srcset]").forEach(i=>{try{jpeg(i)}catch{}}));
addEventListener("afterprint",()=>{for(const [e,old] of kept.splice(0))put(e,old);kept=[]})}
"""

PRINTING = f"<script data-sitecodec>{''.join(_LINES.splitlines())}</script>"
"""The element, for a page's head."""
