"""The rules that need no policy file. Data.

Source: the lists of Sentry's SDK and Relay, Cloudflare's har-sanitizer, MockServer and gitleaks, put together; names
are compared in lower case without punctuation.
"""

from __future__ import annotations

import re

VERSION = 3
"""Grows with every change of what is written here; part of a policy's digest."""

# Name · class, need · pattern of the whole plain key. The first that fits decides.
KEY_RULES: dict[str, tuple[str, str, str]] = {
    "about secrets": (
        "keep",
        "any",
        (
            r"(?:.*(?:token|passw|secret|key|session|csrf|xsrf|otp|pin|mfa|auth|mail|phone|code|credential|ticket).*)"
            r"(?:types?|ur[li]|endpoint|expire[sd]?|expires(?:in|at)|expiry|expiration|lifetime|ttl|timeout|count|length|size"
            r"|limit|policy|strength|hint|label|placeholder|required|enabled|disabled|valid|verified|changed|reset|message"
            r"|(?:header|cookie|field|param|parameter)(?:name)?|algorithm|methods?|supported|minlength|maxlength|strategy)"
            r"|max(?:output|new)?tokens|(?:total|prompt|completion)tokens"
        ),
    ),
    "typed": (
        "credential",
        "typed",
        (
            r".*(?:password|passwd|passphrase|passcode|passwort|kennwort)(?:confirm|confirmation|again|repeat|new|old|[0-9])?"
            r"|(?:.*(?:user|login|db|my|new|old|current|j))?(?:pwd|pass)|secretanswer|securityanswer"
            r"|motdepasse|mdp|contrase(?:ñ|n)a|clave|senha|wachtwoord|parola|hasło|haslo|heslo|jelszó|jelszo|salasana"
            r"|lösenord|losenord|passord|adgangskode|şifre|sifre|пароль|密码|密碼|口令|パスワード|비밀번호"
        ),
    ),
    "codes": (
        "credential",
        "code",
        (
            r"(?:new|old)?pin(?:code)?|(?:t?otp|mfa|2fa|twofactor)(?:code|auth)?|onetime(?:code|password)|verificationcode"
            r"|securitycode|smscode|cvv2?|cvc2?|csc"
        ),
    ),
    "always": (
        "secret",
        "any",
        (
            r".*(?:secret|apikey|accesskeyid|accesskey|secretkey|privatekey|signingkey|authkey|subscriptionkey|credentials?)"
            r"|(?:recovery|backup|scratch|rescue)codes?|mnemonic|seedphrase|recoveryphrase"
            r"|(?:proxy)?authorization|samlrequest|samlresponse|clientassertion|assertion|codeverifier|licen[cs]ekey"
        ),
    ),
    "tokens": (
        "secret",
        "no word",
        (
            r".*(?:token|tokens|csrf|xsrf|csrfmiddlewaretoken|jwt|bearer|sessionid|sessionkey|sessid|sessiontoken|ticket"
            r"|authcode|signature|nonce)(?:value|hash)?|(?:x)?(?:csrf|xsrf).*|jsessionid|phpsessid|aspnetsessionid"
            r"|connectsid|usersession|usg|vses2|xclientdata|codechallenge|idtokenhint|loginticket|accesstokens?|devicetoken"
        ),
    ),
    "perhaps": (
        "secret",
        "token",
        (
            r"session|sid|ssid|state|code|auth|.*key|jti|sig|challenge|token.*|.*session|.*auth|authn?|otk|sso|relaystate"
            r"|fcparams|facetid|serverdata|shdf|credential.*|secret.*|auth.*|.*jwt.*|seed|verify|verification|confirm"
            r"|confirmation|activate|activation|invit(?:e|ation)|join|magic(?:link)?|unsubscribe|.*reset.*"
        ),
    ),
    "mail": ("personal", "mail", r".*e?mail(?:address|addr)?"),
    "phone": (
        "personal",
        "digits",
        (
            r".*(?:phone|phonenumber|mobilenumber|telephone|faxnumber)|mobile|msisdn|tel|ssn|socialsecurity(?:number|no)?|pan"
            r"|dob|dateofbirth|birth(?:date|day)|iban|(?:credit)?card(?:number|no)?|ccnumber|passport(?:number|no)?|taxid"
            r"|nationalid"
        ),
    ),
    "name": (
        "personal",
        "any",
        (
            r"(?:first|last|given|family|middle|full|sur|maiden)name|cardholder(?:name)?|nameoncard"
            r"|street(?:address)?(?:line)?[12]?|addressline[1-3]|(?:billing|shipping|home|postal)address"
        ),
    ),
    "identifiers": (
        "keep",
        "any",
        (
            r".*(?:id|ids|uid|uuid|guid|hash|hashes|digest|checksum|integrity|etag|fingerprint|sha|sha1|sha256|sha512|md5|crc"
            r"|id2|version|revision|rev|commit|build|release|cursor|cursors|offset|slug|name|names|src|href|file|filename|path"
            r"|query|icon|image|color|class|classname|type|format|date|time|timestamp|locale|language|timezone|useragent"
            r"|publickey|publishablekey|sitekey|traceparent|tracestate|next|previous|prev|before|after)"
        ),
    ),
    "host": ("personal", "ip", r"ip|ipaddr|ipaddress|remoteaddr|remoteaddress|clientip|userip|realip|forwardedfor"),
}

# Pattern of the whole name in lower case · class. Others are judged as keys.
SECRET_HEADERS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), klass)
    for pattern, klass in (
        (
            r"(?:proxy-|x-)?authorization|x-(?:api|auth|access|app)-?(?:key|token)|api-?key|apikey|x-.*-(?:token|secret)",
            "secret",
        ),
        (
            r"x-(?:csrf|xsrf)-?token|x-(?:csrf|xsrf).*|csrf-token|x-amz-security-token|x-goog-.*token|x-client-data",
            "secret",
        ),
        (r"x-vault-token|private-token|job-token|x-gitlab-token|x-shopify-.*token|ocp-apim-subscription-key", "secret"),
        (
            r"x-forwarded-for|x-real-ip|forwarded|true-client-ip|cf-connecting-ip|x-client-ip|x-cluster-client-ip",
            "personal",
        ),
        (r"fastly-client-ip|x-original-forwarded-for|via-ip|x-remote-(?:ip|addr)|remote-addr", "personal"),
        (
            r"sec-websocket-(?:key|accept|version|extensions)|etag|if-none-match|if-match|x-request-id|traceparent",
            "keep",
        ),
        (r"(?:access-control|content|accept|sec-(?:ch|fetch))-.*|user-agent|server|date|host|origin", "keep"),
    )
)

# Source: the registry of RFC 9110 §16.4.1, and what is in use besides.
AUTH_SCHEMES = frozenset(
    b"apikey api-key aws4-hmac-sha256 basic bearer concealed digest dpop gnap hawk hmac hoba jwt mac mutual negotiate"
    b" ntlm oauth privatetoken scram-sha-1 scram-sha-256 sharedkey token vapid".split()
)
"""Words before the credentials of an Authorization header: never a secret, whatever name they stand under."""

# Fields that name a person beside a password.
USER_KEYS = re.compile(
    r".*(?:user|username|userid|userlogin|login|loginid|loginname|email|emailaddress|mail)|j_?username|uid|identifier"
    r"|account(?:id|name|no|number)?|(?:customer|member|client|employee)(?:id|no|number)|phone(?:number)?|mobile|msisdn"
)

# Name · hint that must stand in a text · pattern, of which the group ``value``, or all, is replaced.
TOKENS: tuple[tuple[str, bytes, re.Pattern[bytes]], ...] = tuple(
    (name, hint, re.compile(pattern))
    for name, hint, pattern in (
        ("a JWT", b"eyJ", rb"eyJ[A-Za-z0-9_-]{5,4096}\.[A-Za-z0-9_-]{5,16384}(?:\.[A-Za-z0-9_-]{0,8192}){1,3}"),
        ("a bearer token", b"earer", rb"[Bb]earer(?: |%20|\+)+(?P<value>[A-Za-z0-9_~+/.%-]{12,}=*)"),
        ("an AWS key", b"AKIA", rb"AKIA[0-9A-Z]{16}"),
        ("an AWS key", b"ASIA", rb"ASIA[0-9A-Z]{16}"),
        ("a Google key", b"AIza", rb"AIza[A-Za-z0-9_-]{35}"),
        ("a Google token", b"ya29.", rb"ya29\.[A-Za-z0-9_-]{20,}"),
        ("a Google secret", b"GOCSPX-", rb"GOCSPX-[A-Za-z0-9_-]{20,}"),
        *(("a GitHub token", b"gh%c_" % kind, rb"gh%c_[A-Za-z0-9]{30,}" % kind) for kind in b"pousr"),
        ("a GitHub token", b"github_pat_", rb"github_pat_[A-Za-z0-9_]{40,}"),
        ("a GitLab token", b"glpat-", rb"glpat-[A-Za-z0-9_-]{20,}"),
        ("a Stripe key", b"_live_", rb"(?:sk|rk|pk|whsec)_live_[A-Za-z0-9]{16,}"),
        ("a Stripe key", b"_test_", rb"(?:sk|rk)_test_[A-Za-z0-9]{16,}"),
        ("a Slack token", b"xox", rb"xox[abeoprs]-[A-Za-z0-9-]{10,}"),
        ("a SendGrid key", b"SG.", rb"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
        ("an npm token", b"npm_", rb"npm_[A-Za-z0-9]{36}"),
        ("a PyPI token", b"pypi-", rb"pypi-[A-Za-z0-9_-]{50,}"),
        ("an API key", b"sk-", rb"sk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}"),
        ("a Vault token", b"hvs.", rb"hvs\.[A-Za-z0-9_-]{24,}"),
        # Addresses that let everybody write who knows them.
        ("a bot's address", b"/bot", rb"/bot\d{6,12}(?::|%3[Aa])(?P<value>[A-Za-z0-9_-]{30,64})(?![A-Za-z0-9_.-])"),
        (
            "a webhook",
            b"/services/T",
            rb"/services/T[A-Z0-9]{6,16}/B[A-Z0-9]{6,16}/(?P<value>[A-Za-z0-9]{16,64})(?![A-Za-z0-9_.-])",
        ),
        ("a webhook", b"/webhooks/", rb"/webhooks/\d{15,24}/(?P<value>[A-Za-z0-9_-]{40,128})(?![A-Za-z0-9_.-])"),
        (
            "a private key",
            b"-----BEGIN",
            (
                rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
                rb"(?P<value>[A-Za-z0-9+/=\s\\rn:,-]{32,}?)(?:-----END|\Z)"
            ),
        ),
        ("a password in a URL", b"://", rb"://[^/\s:@\"'<>]{1,128}:(?P<value>[^/\s:@\"'<>]{1,256})@"),
    )
)
