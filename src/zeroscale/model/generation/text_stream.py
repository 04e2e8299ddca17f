"""A generated text as its reader sees it: whole characters only, ended before a stop string."""

import codecs
from collections.abc import Sequence
from typing import Any


class StopStringDecoder:
    """A text that grows token by token and shows only what cannot change any more.

    Held back: bytes that are not yet a whole character, and an end that may become a stop string. All that was shown,
    put together, is `text`; bytes that are no UTF-8 become U+FFFD.
    """

    def __init__(self, tokenizer: Any, stop: Sequence[str] = ()) -> None:
        self.tokens: list[int] = []
        self.text = ""
        self.stopped = False
        self._tokenizer = tokenizer
        # UTF-8 marks where its characters begin: a string is found in a text exactly where its bytes are in the text's.
        self._stop = [string.encode("utf-8") for string in stop]
        self._held = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token: int) -> str:
        """Adds a token; what may be shown now."""
        self.tokens.append(token)
        held = self._held + self._tokenizer.decode_bytes([token])
        if found := [at for string in self._stop if (at := held.find(string)) >= 0]:
            self.stopped, self._held = True, held[: min(found)]
            return self.end()
        keep = max((n for string in self._stop for n in range(len(string)) if held.endswith(string[:n])), default=0)
        self._held = held[len(held) - keep :]
        return self._shown(held[: len(held) - keep])

    def end(self) -> str:
        """No more will come; the rest that may be shown."""
        rest, self._held = self._held, b""
        return self._shown(rest, final=True)

    def finish_reason(self, max_new_tokens: int) -> str:
        """stop (a stop string), length (as many tokens as were asked for), or end_of_text."""
        if self.stopped:
            return "stop"
        return "length" if len(self.tokens) == max_new_tokens else "end_of_text"

    def _shown(self, content: bytes, final: bool = False) -> str:
        text = self._decoder.decode(content, final)
        self.text += text
        return text
