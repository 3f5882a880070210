"""The ways in which the residents' slice says no."""

from node.kernel.errors import DomainError


class PhoneTaken(DomainError):
    code = "residents.phone_taken"
    message = "Another resident is registered with this phone number."


class WrongPhoneOrPin(DomainError):
    code = "residents.wrong_phone_or_pin"
    message = "Phone number and PIN do not fit together."


class SignInLocked(DomainError):
    code = "residents.sign_in_locked"
    message = "Too many tries. Wait {minutes} minutes, or ask at the service desk."
    retryable = True


class NotSignedIn(DomainError):
    code = "residents.not_signed_in"
    message = "Please sign in first."


class NoProxy(DomainError):
    code = "residents.no_proxy"
    message = "You may not act for this resident: there is no agreement, or it has ended."


class NoSuchPerson(DomainError):
    code = "residents.no_such_person"
    message = "No resident has this name and this phone number."


class LastOperator(DomainError):
    code = "residents.last_operator"
    message = "This is the only operator: make somebody else operator first."


class StillPromised(DomainError):
    code = "residents.still_promised"
    message = "{amount} {unit} are still promised for something. Let it end, or call it off, first."


class ResidentGone(DomainError):
    code = "residents.gone"
    message = "This resident was erased: nothing new can begin in their name."


class ListRefused(DomainError):
    code = "residents.list_refused"
    message = "{count} lines of the list need another look. Nothing was registered."


class ListUnreadable(DomainError):
    code = "residents.list_unreadable"
    message = "The list cannot be read: {problem}."
