from xmppbus import Bot

bot = Bot()


@bot.on("disk.#", severity=">=warning")
async def disk(event):
    await bot.publish("disk.noticed", f"noticed: {event.summary}", subject=event.id)


@bot.command("hello", "say hello to NAME", who="talk")
async def hello(name):
    return f"hello {name or 'you'}"


if __name__ == "__main__":
    bot.run()
register = bot.register
