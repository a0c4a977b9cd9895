"""Write every generated page."""

from tests.reference import config_page
from tests.reference.pages import REFERENCE

PAGES = {"config.md": config_page.page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page())
        print(f"docs/reference/{name}")
