"""Write every generated page."""

from tests.reference import bot_page, commands_page, config_page
from tests.reference.pages import REFERENCE

PAGES = {"bot.md": bot_page.page, "commands.md": commands_page.page, "config.md": config_page.page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page())
        print(f"docs/reference/{name}")
