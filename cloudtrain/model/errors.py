"""Everything that can go wrong, and what the shell hears of it.

CloudtrainError                     message, hint, exit code
├── ConfigError                 2   file, line, field
├── NotFoundError               2   a machine, run or template that a person named and nobody knows
├── RunHeldError                2   another process looks after the run
├── LedgerError                 2   the ledger's file is damaged or newer than this version
├── NoOfferFitsError            3
├── ProviderError               3
│   ├── CredentialsError
│   │   └── NotSetUpError
│   ├── PermissionDeniedError
│   ├── QuotaExceededError
│   │   └── CloudQuotaExceededError
│   ├── NoCapacityError
│   ├── InstanceNotFoundError
│   └── ProviderUnavailableError
├── RemoteError                 4
│   ├── HostUnreachableError 70
│   ├── HostKeyError
│   ├── RemoteFileError
│   └── TransferError
├── SetupError                  4   the machine could not be made ready for the job
├── RunFailedError              4   a run broke after money was spent; nothing bills now
├── JobFailedError              5
└── ShutdownError              70   something may still bill
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the shell sees. Stable: scripts rest on these numbers."""

    DONE = 0
    BAD_INPUT = 2
    NOTHING_SPENT = 3
    SPENT_NOTHING_BILLS = 4
    JOB_FAILED = 5
    MACHINE_ENDED_FIRST = 6
    MAY_STILL_BILL = 70
    INTERRUPTED = 130


class CloudtrainError(Exception):
    """Say what happened, what it means for money and data, and what to type next.

    Attributes:
        message: what happened, one sentence.
        hint: the next step for the person, or "" when there is none.
    """

    exit_code = ExitCode.SPENT_NOTHING_BILLS

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class ConfigError(CloudtrainError):
    """A file or flag a person wrote cannot be used as it is.

    Attributes:
        file: the file's path as the person knows it, or "" for a flag.
        line: 1-based line in that file, or None when the file as a whole is meant.
        field: dotted path of the setting (`resources.gpus`), or "".
    """

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, message: str, hint: str = "", *, file: str = "", line: int | None = None, field: str = "") -> None:
        super().__init__(message, hint)
        self.file = file
        self.line = line
        self.field = field

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file, self.line) if part)
        head = ": ".join(part for part in (where, self.field, self.message) if part)
        return f"{head}\n{self.hint}" if self.hint else head


class NotFoundError(CloudtrainError):
    """A person named a machine, a run or a template that nobody knows."""

    exit_code = ExitCode.BAD_INPUT


class RunHeldError(CloudtrainError):
    """Another process looks after the run; it can be watched and not taken over."""

    exit_code = ExitCode.BAD_INPUT


class LedgerError(CloudtrainError):
    """The ledger's file cannot be used: damaged, locked for too long, or written by a newer version."""

    exit_code = ExitCode.BAD_INPUT


class NoOfferFitsError(CloudtrainError):
    """Nothing on the market satisfies the resources, the budget and the framework together."""

    exit_code = ExitCode.NOTHING_SPENT


class ProviderError(CloudtrainError):
    """A cloud refused or failed. What it means for money is said by the stage that asked."""

    exit_code = ExitCode.NOTHING_SPENT


class CredentialsError(ProviderError):
    """No credentials, expired ones, or a clock too far off to sign with."""


class NotSetUpError(CredentialsError):
    """This computer has no SDK or no credentials for a provider: nobody can have rented there from here as it is."""


class PermissionDeniedError(ProviderError):
    """The account may not do this."""


class QuotaExceededError(ProviderError):
    """The account's limit is smaller than the need; another zone will not help."""


class CloudQuotaExceededError(QuotaExceededError):
    """The account's limit for the whole cloud is smaller than the need; another region will not help either."""


class NoCapacityError(ProviderError):
    """The cloud has no such machine there now; the next offer may do."""


class InstanceNotFoundError(ProviderError):
    """The cloud, asked by name, knows no such instance."""


class ProviderUnavailableError(ProviderError):
    """The cloud did not answer, or this installation cannot talk to it."""


class RemoteError(CloudtrainError):
    """A machine could not be spoken to."""


class HostUnreachableError(RemoteError):
    """No line to the machine, or it broke. Where nobody has ended the machine since, it may bill."""

    exit_code = ExitCode.MAY_STILL_BILL


class HostKeyError(RemoteError):
    """The machine that answered is not the one that was launched."""


class RemoteFileError(RemoteError):
    """A file on the machine is absent or cannot be read or written."""


class TransferError(RemoteError):
    """Files did not arrive whole."""


class SetupError(CloudtrainError):
    """The machine could not be made ready: requirements did not install, or the GPU does not compute."""


class RunFailedError(CloudtrainError):
    """A run broke after money was spent; the machine was ended and nothing bills now."""


class JobFailedError(CloudtrainError):
    """The user's command ended with a non-zero exit code."""

    exit_code = ExitCode.JOB_FAILED


class ShutdownError(CloudtrainError):
    """The cloud did not confirm that a machine ended: something may still bill."""

    exit_code = ExitCode.MAY_STILL_BILL
