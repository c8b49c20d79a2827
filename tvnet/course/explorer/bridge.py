"""What ipywidgets cannot do, as HTML with a line of JavaScript: a slider with a name, pointing at a
picture, dropping a file. Each writes into a hidden field of the same explorer, as a reader would.
"""

from __future__ import annotations

SEND = (
    "const box = at.closest('.tv-explorer').querySelector('{field}'); box.value = {value}; "
    "box.dispatchEvent(new Event('change', {{bubbles: true}}));"
)


def slider(name: str, field: str, value: float) -> str:
    """From 0 to 1. Unlike that of ipywidgets, its handle has a name that screen readers say."""
    send = SEND.format(field=f".{field} input", value="at.value")
    return (
        f'<label class="tv-range">{name} <input type="range" min="0" max="1" step="0.05" '
        f'value="{value:g}" oninput="const at = this; {send}"></label>'
    )


def pointing(field: str) -> str:
    """Over a panel: the place of its picture that is pointed at, as shares of height and width."""
    send = SEND.format(field=f".{field} input", value="y.toFixed(3) + ' ' + x.toFixed(3)")
    act = (
        "const at = this, seen = at.closest('.tv-panel').querySelector('img')"
        ".getBoundingClientRect(), x = (event.clientX - seen.left) / seen.width, "
        "y = (event.clientY - seen.top) / seen.height; "
        f"if (x >= 0 &amp;&amp; x &lt; 1 &amp;&amp; y >= 0 &amp;&amp; y &lt; 1) {{ {send} }}"
    )
    return f'<div class="tv-point" onmousemove="{act}" onclick="{act}"></div>'


def drop_zone(field: str, megabytes: int) -> str:
    """Where a file is dropped: its name, a line break, and its content in base64."""
    send = SEND.format(field=f".{field} textarea", value="file.name + '\\n' + reader.result")
    act = (
        "event.preventDefault(); const at = this, file = event.dataTransfer.files[0], "
        f"reader = new FileReader(); if (file &amp;&amp; file.size > {megabytes * 10**6}) "
        f"at.textContent = 'This file is larger than {megabytes} MB: make the picture smaller.'; "
        f"else if (file) {{ reader.onload = () => {{ {send} }}; reader.readAsDataURL(file); }}"
    )
    return (
        f'<div class="tv-drop" ondragover="event.preventDefault()" ondrop="{act}">'
        "Drop a picture here</div>"
    )
