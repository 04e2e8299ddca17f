"""Text from streamed tokens: whole characters only, ended before a stop string."""

import codecs
from collections.abc import Sequence

from zeroscale.model.protocol import TextTokenizer


class StopStringDecoder:
    """Decodes a text token by token and returns only what cannot change any more.

    Pending: bytes that are not yet a whole character, and an end that may become a stop string. All that was returned,
    put together, is `text`; bytes that are no UTF-8 become U+FFFD.
    """

    def __init__(self, tokenizer: TextTokenizer, stop: Sequence[str] = ()) -> None:
        self.tokens: list[int] = []
        self.text = ""
        self.stopped = False
        self._tokenizer = tokenizer
        # UTF-8 marks where its characters begin: a string is found in a text exactly where its bytes are in the text's.
        self._stop = [string.encode("utf-8") for string in stop]
        self._pending = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token: int) -> str:
        """Adds a token; returns the text that is final now."""
        self.tokens.append(token)
        pending = self._pending + self._tokenizer.decode_bytes([token])
        if ends := [end for string in self._stop if (end := pending.find(string)) >= 0]:
            self.stopped, self._pending = True, pending[: min(ends)]
            return self.end()
        keep = max((n for string in self._stop for n in range(len(string)) if pending.endswith(string[:n])), default=0)
        self._pending = pending[len(pending) - keep :]
        return self._decode(pending[: len(pending) - keep])

    def end(self) -> str:
        """Ends the text; returns the rest of it."""
        rest, self._pending = self._pending, b""
        return self._decode(rest, final=True)

    def finish_reason(self, max_new_tokens: int) -> str:
        """stop (a stop string), length (`max_new_tokens` of them), or end_of_text."""
        if self.stopped:
            return "stop"
        return "length" if len(self.tokens) == max_new_tokens else "end_of_text"

    def _decode(self, content: bytes, final: bool = False) -> str:
        text = self._decoder.decode(content, final)
        self.text += text
        return text
