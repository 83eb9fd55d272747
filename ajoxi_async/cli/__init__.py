"""The command ``ajoxi``.

``calls``, ``numbers``, ``messages``, ``recordings``, ``transcripts`` and ``webhooks`` are the API, ``limits`` shows the rate limit.
``login``, ``logout`` and ``profiles`` keep keys. ``sandbox`` runs the sandbox, ``campaign`` dials lists of people, ``mcp`` serves
agents, ``openapi`` prints the contract, and ``completion`` prints what a shell needs to complete all of this.

Rule: what ``--help`` and ``--version`` need imports argparse and nothing heavier. The arguments of the commands are in
`ajoxi_async.cli.arguments`, and each command imports what it needs when it runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from ajoxi_async.cli import output
from ajoxi_async.cli.arguments import parser_for
from ajoxi_async.cli.output import OutputError, warn

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status, as `ajoxi_async.cli.status` lists them."""
    output.prepare()
    try:
        options = parser_for(argv).parse_args(argv)
        return int(options.run(options))
    except OutputError as error:
        if str(error):
            warn(str(error))
        return error.status
    except KeyboardInterrupt:
        return 130
