"""Which passwords a user may choose."""

from __future__ import annotations

from moorage.auth.passwords import check_new_password
from moorage.core.errors import Invalid

LONGEST = 256
"""Characters."""

COMMON = frozenset(
    [
        "00000000",
        "000000000",
        "0123456789",
        "0987654321",
        "11111111",
        "111111111",
        "1111111111",
        "11223344",
        "12121212",
        "123123123",
        "12341234",
        "12344321",
        "12345678",
        "123456789",
        "1234567890",
        "12345679",
        "1234qwer",
        "123qweasd",
        "147258369",
        "1q2w3e4r",
        "1q2w3e4r5t",
        "1qaz2wsx",
        "1qazxsw2",
        "22222222",
        "31415926",
        "55555555",
        "66666666",
        "77777777",
        "87654321",
        "88888888",
        "987654321",
        "99999999",
        "aa123456",
        "aaaaaaaa",
        "abc12345",
        "abcd1234",
        "abcdefgh",
        "abcdefg1",
        "access14",
        "admin123",
        "admin1234",
        "administrator",
        "adminadmin",
        "asdf1234",
        "asdfasdf",
        "asdfghjk",
        "asdfghjkl",
        "baseball",
        "basketball",
        "changeit",
        "changeme",
        "changeme1",
        "changeme123",
        "charlie1",
        "computer",
        "container",
        "corvette",
        "danielle",
        "default1",
        "docker123",
        "dockerdocker",
        "dragon12",
        "football",
        "football1",
        "hello123",
        "helloworld",
        "iloveyou",
        "iloveyou1",
        "internet",
        "jennifer",
        "jordan23",
        "kubernetes",
        "letmein1",
        "letmein123",
        "login123",
        "maverick",
        "michelle",
        "midnight",
        "mustang1",
        "nintendo",
        "p@ssw0rd",
        "p@ssword",
        "passpass",
        "passw0rd",
        "password",
        "password!",
        "password1",
        "password12",
        "password123",
        "password1234",
        "princess",
        "princess1",
        "q1w2e3r4",
        "qazwsxedc",
        "qwer1234",
        "qwerqwer",
        "qwerty12",
        "qwerty123",
        "qwertyui",
        "qwertyuiop",
        "qwertz123",
        "registry",
        "registry1",
        "root1234",
        "rootroot",
        "samsung1",
        "secret123",
        "server123",
        "starwars",
        "steelers",
        "sunshine",
        "sunshine1",
        "superman",
        "superman1",
        "temp1234",
        "test1234",
        "testtest",
        "trustno1",
        "user1234",
        "usuckballz1",
        "welcome1",
        "welcome123",
        "whatever",
        "zaq12wsx",
        "zxcvbnm1",
        "zxcvbnm123",
    ]
)
"""What is tried first by everybody who tries: from the published lists of leaked passwords, 8 characters and more."""


def checked_password(user: str, password: str) -> str:
    """The password, if that user may have it.

    Raises:
        Invalid: too short, too long, too common, or the user's own name; the sentence says which, never the password.
    """
    try:
        check_new_password(password)
    except ValueError as error:
        raise Invalid(str(error)) from None
    if len(password) > LONGEST:
        raise Invalid(f"A password has at most {LONGEST} characters.")
    if password.lower() in COMMON:
        raise Invalid("This password is one of those that are tried first; choose another one.")
    if password.lower() == user:
        raise Invalid("The password must not be the user name.")
    return password
