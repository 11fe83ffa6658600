"""The style rules that pages with pictures need."""

# A <picture> must not change a page's layout: neither it nor its sources may become boxes of a flex
# or grid container. And space is reserved for an image without a change to any box.
# `contain: size` has a browser take `contain-intrinsic-size` for the image's own size, whatever has
# been loaded; `width: auto` and `height: auto` undo what the attributes we add say, but for their
# ratio. Where browsers do not know it, the attributes reserve the space. All of that stands in the
# first layer of the page and without specificity, so that every rule of the site wins.
RULES = (
    "@layer sitecodec{:where(picture[data-sitecodec]){display:contents}"
    ":where(picture[data-sitecodec]>source){display:none}"
    ":where(img[data-sitecodec=sized],img[data-sitecodec=ratio]){height:auto}"
    "@supports (contain-intrinsic-size:1px 1px){"
    ":where(img[data-sitecodec=sized],img[data-sitecodec=ratio]){width:auto}"
    ":where(img[data-sitecodec=sized],img[data-sitecodec=held]){contain:size}"
    ":where(img[data-sitecodec=held]){aspect-ratio:auto var(--sitecodec-ratio)}}}"
)
