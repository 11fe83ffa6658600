"""The effect of a site's own style sheets on its images, read at build time."""
