"""What people ask of pipelines, from the inbox to the pipeline's state.

Invariant: what cannot be read, or what nothing vouches for, changes nothing and is said.
"""

from controller.core.promotion.asking import approve, freeze, promote, thaw
from controller.core.promotion.move import Move
from controller.ports.inbox import InboxBodyError
from controller.ports.promotion_inbox import (
    ApproveCommand,
    FreezeCommand,
    PromoteCommand,
    load_promotion_command,
)
from controller.ports.store import InboxEntry

_VOUCH = "in a cluster an approval is an object of kind Approval"


def answered(move: Move, entry: InboxEntry, *, believed: bool) -> Move:
    """Take in what was asked; ``believed``: who is named as asking is taken to be the one who asks."""
    try:
        command = load_promotion_command(entry.body)
    except InboxBodyError as error:
        return move.say(f"something that was asked cannot be read: {error}")
    bypasses = isinstance(command, PromoteCommand) and bool(command.bypass_reason)
    if not believed and (bypasses or isinstance(command, ApproveCommand)):
        return move.say(f"{command.by} is said to approve or to bypass, and nothing vouches for that: {_VOUCH}")
    match command:
        case PromoteCommand():
            return promote(move, command.stage, command.version, command.by, command.bypass_reason)
        case ApproveCommand():
            return approve(move, command.stage, command.version, command.by, command.groups)
        case FreezeCommand():
            return freeze(move, command.by, command.stage, command.until, command.reason)
        case _:
            return thaw(move, command.by, command.stage)
