"""Write every generated page."""

from tests.reference import bot_page, catalogue_page, commands_page, config_page, errors_page, man_page, metrics_page
from tests.reference.pages import REFERENCE, ROOT

PAGES = {
    REFERENCE / "bot.md": bot_page.page,
    REFERENCE / "commands.md": commands_page.page,
    REFERENCE / "config.md": config_page.page,
    REFERENCE / "errors.md": errors_page.page,
    REFERENCE / "metrics.md": metrics_page.page,
    catalogue_page.POT: catalogue_page.page,
    **man_page.pages(),
}

if __name__ == "__main__":
    for path, page in PAGES.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page())
        print(path.relative_to(ROOT))
