"""How Sphinx builds the site: `make site`, by tools/website.py.

Nothing runs, and no page fetches anything from another host.
"""

from collections.abc import Callable
from typing import Any

from sphinx.application import Sphinx

project = "Many Cores, One GIL"
author = "The Many Cores, One GIL developers"

extensions = ["myst_nb"]
root_doc = "index"

# What is stored in a lesson is what stands on its page.
nb_execution_mode = "off"
nb_merge_streams = True
# Widgets need a kernel: their words are there instead (tools/website.py).
nb_ipywidgets_js: dict[str, dict[str, str]] = {}
# Links to headings, as in Jupyter and on a code host.
myst_heading_anchors = 4
highlight_language = "none"
nitpicky = True

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = [("replay.js", {"defer": "defer"})]
html_context = {"default_mode": "auto"}
html_favicon = "_static/icon.svg"
html_copy_source = False
html_use_index = False
html_show_sourcelink = False
# Without its logo, which the menu has as well.
html_sidebars = {"**": ["search-button-field.html", "sbt-sidebar-nav.html"]}
html_theme_options = {
    # No bar above the page: its hidden button would take the menu's clicks.
    "navbar_persistent": [],
    "home_page_in_toc": True,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "footer_content_items": "extra-footer.html",
    "extra_footer": "Text: CC BY 4.0. Code: BSD-3-Clause.",
}


def name_toggles(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Give what unfolds a part of the menu a name, which the theme leaves out."""
    menu: Callable[..., object] = context["generate_toctree_html"]

    def named(*args: Any, **options: Any) -> str:
        html = str(menu(*args, **options))
        return html.replace("<summary>", '<summary aria-label="Unfold">')

    context["generate_toctree_html"] = named


def setup(app: Sphinx) -> None:
    """Come after the theme."""
    app.connect("html-page-context", name_toggles, priority=900)
