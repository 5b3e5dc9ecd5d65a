"""Text for a terminal.

What belongs here: what every command needs to print safely. What does not: any command.
"""


def clean(text: str) -> str:
    """The text without control characters, which a terminal would execute."""
    return "".join(character if character.isprintable() else "?" for character in text)
