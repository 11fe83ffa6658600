"""The MkDocs plugin: a thin adapter around sitecodec.site.build."""
