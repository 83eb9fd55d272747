"""The async-first Python SDK of the Ajoxi cloud phone API, with an embedded sandbox that never rings a phone.

Names are imported on first use (PEP 562), so that ``import ajoxi_async`` costs next to nothing. The imports for type
checkers and the table below say the same; a test holds them together.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ajoxi_async.auth import ClientCredentials as ClientCredentials
    from ajoxi_async.client import (
        AsyncAjoxi as AsyncAjoxi,
        RawResponse as RawResponse,
    )
    from ajoxi_async.contract.calls import (
        Call as Call,
        CallStatus as CallStatus,
        Campaign as Campaign,
        Direction as Direction,
        Disposition as Disposition,
    )
    from ajoxi_async.contract.messages import (
        Channel as Channel,
        Media as Media,
        Message as Message,
        MessageStatus as MessageStatus,
    )
    from ajoxi_async.contract.numbers import (
        CallerId as CallerId,
        Capability as Capability,
        Number as Number,
        NumberStatus as NumberStatus,
        NumberType as NumberType,
        Port as Port,
        Routing as Routing,
        RoutingKind as RoutingKind,
        SmsConfig as SmsConfig,
    )
    from ajoxi_async.contract.recordings import Recording as Recording
    from ajoxi_async.contract.transcripts import (
        Segment as Segment,
        Speaker as Speaker,
        Transcript as Transcript,
        TranscriptStatus as TranscriptStatus,
        Word as Word,
    )
    from ajoxi_async.contract.webhooks import (
        CallAnswered as CallAnswered,
        CallCompleted as CallCompleted,
        CallStarted as CallStarted,
        Event as Event,
        EventType as EventType,
        MessageDelivered as MessageDelivered,
        MessageReceived as MessageReceived,
        RecordingReady as RecordingReady,
        TranscriptReady as TranscriptReady,
        UnknownEvent as UnknownEvent,
        Webhook as Webhook,
        WebhookStatus as WebhookStatus,
    )
    from ajoxi_async.contract.wire import Transport as Transport
    from ajoxi_async.limits.local import (
        Limiter as Limiter,
        LimiterSnapshot as LimiterSnapshot,
        LocalLimiter as LocalLimiter,
    )
    from ajoxi_async.live import LiveTranscript as LiveTranscript
    from ajoxi_async.pager import (
        Page as Page,
        Pager as Pager,
    )
    from ajoxi_async.pipeline import AjoxiDeprecationWarning as AjoxiDeprecationWarning
    from ajoxi_async.protocol.errors import (
        APIConnectionError as APIConnectionError,
        APIError as APIError,
        APIResponseValidationError as APIResponseValidationError,
        APIStatusError as APIStatusError,
        APITimeoutError as APITimeoutError,
        AjoxiError as AjoxiError,
        AuthenticationError as AuthenticationError,
        BadRequestError as BadRequestError,
        ConfigurationError as ConfigurationError,
        InternalServerError as InternalServerError,
        InvalidParameterError as InvalidParameterError,
        NotFoundError as NotFoundError,
        OutcomeUnknownError as OutcomeUnknownError,
        PaginationError as PaginationError,
        PermissionDeniedError as PermissionDeniedError,
        RateLimitError as RateLimitError,
        StreamError as StreamError,
        StreamInterruptedError as StreamInterruptedError,
        StreamProtocolError as StreamProtocolError,
        TranscriptGapError as TranscriptGapError,
        UnprocessableEntityError as UnprocessableEntityError,
        WebhookSignatureError as WebhookSignatureError,
    )
    from ajoxi_async.protocol.retry import RetryPolicy as RetryPolicy
    from ajoxi_async.sandbox import Sandbox as Sandbox
    from ajoxi_async.webhooks import (
        parse_event as parse_event,
        verify_webhook as verify_webhook,
    )

_WHERE = {
    "auth": "ClientCredentials",
    "client": "AsyncAjoxi RawResponse",
    "contract.calls": "Call CallStatus Campaign Direction Disposition",
    "contract.messages": "Channel Media Message MessageStatus",
    "contract.numbers": "CallerId Capability Number NumberStatus NumberType Port Routing RoutingKind SmsConfig",
    "contract.recordings": "Recording",
    "contract.transcripts": "Segment Speaker Transcript TranscriptStatus Word",
    "contract.webhooks": (
        "CallAnswered CallCompleted CallStarted Event EventType MessageDelivered MessageReceived "
        "RecordingReady TranscriptReady UnknownEvent Webhook WebhookStatus"
    ),
    "contract.wire": "Transport",
    "limits.local": "Limiter LimiterSnapshot LocalLimiter",
    "live": "LiveTranscript",
    "pager": "Page Pager",
    "pipeline": "AjoxiDeprecationWarning",
    "protocol.errors": (
        "APIConnectionError APIError APIResponseValidationError APIStatusError APITimeoutError AjoxiError "
        "AuthenticationError BadRequestError ConfigurationError InternalServerError InvalidParameterError "
        "NotFoundError OutcomeUnknownError PaginationError PermissionDeniedError RateLimitError StreamError "
        "StreamInterruptedError StreamProtocolError TranscriptGapError UnprocessableEntityError "
        "WebhookSignatureError"
    ),
    "protocol.retry": "RetryPolicy",
    "sandbox": "Sandbox",
    "webhooks": "parse_event verify_webhook",
}
_HOME = {name: module for module, names in _WHERE.items() for name in names.split()}

__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
