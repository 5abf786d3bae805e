"""Coming in as autobahn-python does it: every method, static and dynamic, and what roles may do once inside."""

from autobahn.wamp.auth import AuthCryptoSign, AuthTicket, AuthWampCra, derive_key
from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.types import PublishOptions

from support import Credentials, Refused, call, main, patiently, publish, refused, register, subscribe

# The seed of the key that the configuration of the test admits as client01; from RFC 8032, section 7.1, test 1.
KNOWN_KEY = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
KNOWN_PUBLIC_KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
# From the same place, test 2. Nobody admits it.
OTHER_KEY = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"

# Who could not prove it, or is nobody: the same to the outside.
FAILED = "wamp.error.authentication_failed"
# The dynamic authenticator did not want this one, or is not there to ask.
DENIED = "wamp.error.authentication_denied"


def ticket(authid, secret):
    return Credentials(AuthTicket(ticket=secret), authid=authid)


def wampcra(authid, secret):
    return Credentials(AuthWampCra(authid=authid, secret=secret), authid=authid)


def cryptosign(authid, key):
    return Credentials(AuthCryptoSign(privkey=key), authid=authid)


async def joins_as(router, credentials, authid, role, method, **where):
    """Asserts who the router takes this client for, and that the session works."""
    session = await router.join(credentials, **where)
    details = session.details
    assert (details.authid, details.authrole, details.authmethod) == (authid, role, method), details
    assert isinstance(details.authprovider, str)
    inbox = await subscribe(session, router.uri(f"own.{method}"))
    await publish(session, router.uri(f"own.{method}"), "works", _exclude_me=False)
    assert (await inbox.take()).args == ("works",)
    return session


async def stays_out(router, credentials, *reasons, **where):
    try:
        session = await router.join(credentials, **where)
    except Refused as refusal:
        assert refusal.reason in reasons, f"the ABORT is {refusal}, not one of {reasons}"
    else:
        raise AssertionError(f"the router let it in: {session.details}")


async def anonymous(router):
    one, two = await router.join(), await router.join()
    for session in (one, two):
        assert session.details.authrole == "anonymous" and session.details.authmethod == "anonymous"
        assert session.details.realm == router.realm
    assert one.details.authid and two.details.authid and one.details.authid != two.details.authid
    assert one.id != two.id and 1 <= one.id <= 2**53


async def anonymous_without_offering_anything(router):
    session = await router.join(Credentials())
    assert session.details.authmethod == "anonymous"


async def unknown_realm(router):
    await stays_out(router, None, "wamp.error.no_such_realm", realm="no.such.realm")


async def method_that_nobody_knows(router):
    await stays_out(
        router,
        Credentials(authid="joe", methods=["telepathy"]),
        "wamp.error.no_matching_auth_method",
    )


async def good_ticket(router):
    await joins_as(router, ticket("joe", "secret!!!"), "joe", "user", "ticket")


def nobody(router):
    """A principal that does not exist, another one in each scenario: who fails often from one address has to wait."""
    return f"nobody-{router.name}"


async def bad_tickets(router):
    for authid, secret in [("joe", "guess"), ("joe", ""), (nobody(router), "secret!!!"), ("peter", "secret1")]:
        await stays_out(router, ticket(authid, secret), FAILED)


async def good_wampcra(router):
    await joins_as(router, wampcra("peter", "secret1"), "peter", "user", "wampcra")


async def salted_wampcra(router):
    await joins_as(router, wampcra("petra", "secret123"), "petra", "user", "wampcra")


async def bad_wampcra(router):
    for authid, secret in [("peter", "guess"), ("petra", "secret1"), (nobody(router), "secret1")]:
        await stays_out(router, wampcra(authid, secret), FAILED)
    # The derived key of a salted secret is itself no secret that the router accepts.
    derived = derive_key("secret123", "salt123", 1000, 32).decode()
    await stays_out(router, wampcra("petra", derived), FAILED)


async def good_cryptosign(router):
    await joins_as(router, cryptosign("client01", KNOWN_KEY), "client01", "user", "cryptosign")


async def cryptosign_without_authid(router):
    """The key alone says who it is."""
    await joins_as(router, cryptosign(None, KNOWN_KEY), "client01", "user", "cryptosign")


async def bad_cryptosign(router):
    for authid, key in [("client01", OTHER_KEY), (nobody(router), KNOWN_KEY), (None, OTHER_KEY)]:
        await stays_out(router, cryptosign(authid, key), FAILED)


class Impostor(AuthCryptoSign):
    """Shows the public key of another, and signs with its own."""

    @property
    def authextra(self):
        return {"pubkey": KNOWN_PUBLIC_KEY}


async def stolen_public_key(router):
    credentials = Credentials(Impostor(privkey=OTHER_KEY), authid="client01")
    await stays_out(router, credentials, FAILED)


async def router_picks_a_method_that_it_has(router):
    credentials = Credentials(
        AuthTicket(ticket="secret!!!"), authid="joe", methods=["telepathy", "ticket", "anonymous"]
    )
    await joins_as(router, credentials, "joe", "user", "ticket")


async def rules_of_a_role_are_kept(router):
    anyone = await router.join()
    limited = await router.join(ticket("lim", "limit!!!"))
    assert limited.details.authrole == "limited"
    await register(anyone, router.uri("procedure"), lambda: 1)
    closed, opened = router.uri("closed"), f"com.example.open.{router.name}"
    await refused(limited.call(router.uri("procedure")), "wamp.error.not_authorized")
    await refused(limited.register(lambda: 1, closed), "wamp.error.not_authorized")
    await refused(limited.subscribe(lambda: None, closed), "wamp.error.not_authorized")
    await refused(limited.publish(closed, options=PublishOptions(acknowledge=True)), "wamp.error.not_authorized")
    inbox = await subscribe(limited, opened)
    await register(limited, opened, lambda: "open")
    assert await call(limited, opened) == (["open"], {})
    await publish(limited, opened, "open", _exclude_me=False)
    assert (await inbox.take()).args == ("open",)


async def unacknowledged_publication_that_is_denied_is_silent(router):
    anyone, limited = await router.join(), await router.join(ticket("lim", "limit!!!"))
    inbox = await subscribe(anyone, router.uri("topic"))
    limited.publish(router.uri("topic"), "denied")
    await refused(limited.subscribe(lambda: None, router.uri("fence")), "wamp.error.not_authorized")
    await publish(anyone, router.uri("topic"), "fence", _exclude_me=False)
    assert await inbox.until("fence") == []


async def dynamic_authorizer_decides(router):
    """The role `judged` may do what the procedure com.example.authorize says."""
    judge = await router.join()
    asked = []

    def authorize(session, uri, action, options=None):
        asked.append((session["authid"], session["authrole"], uri, action))
        if uri.endswith("broken"):
            raise ApplicationError("com.example.error.confused")
        return uri.endswith("allowed") or {"allow": action == "subscribe" and uri.endswith("half"), "cache": False}

    registration = await register(judge, "com.example.authorize", authorize)
    judged = await router.join(ticket("judy", "judge!!!"))
    await register(judged, router.uri("allowed"), lambda: "verdict")
    assert ("judy", "judged", router.uri("allowed"), "register") in asked, asked
    assert await call(judged, router.uri("allowed")) == (["verdict"], {})
    inbox = await subscribe(judged, router.uri("half"))
    await publish(judge, router.uri("half"), "heard")
    assert (await inbox.take()).args == ("heard",)
    await refused(judged.register(lambda: 1, router.uri("half")), "wamp.error.not_authorized")
    await refused(judged.call(router.uri("denied")), "wamp.error.not_authorized")
    options = PublishOptions(acknowledge=True)
    await refused(judged.publish(router.uri("denied"), options=options), "wamp.error.not_authorized")
    await refused(judged.call(router.uri("broken")), "wamp.error.authorization_failed")
    await patiently(registration.unregister())
    await refused(judged.call(router.uri("unjudged.allowed")), "wamp.error.authorization_failed")


async def asking_dynamically(router):
    """A session that answers for the listener whose authenticators are procedures, and that listener's address."""
    keeper = await router.join()
    await register(keeper, "com.example.authenticate.ticket", judge_ticket)
    await register(keeper, "com.example.authenticate.wampcra", judge_wampcra)
    await register(keeper, "com.example.authenticate.cryptosign", judge_cryptosign)
    return {"url": router.options.dynamic_url}


def judge_ticket(realm, authid, details):
    if realm != "realm1" or authid != "dora" or details["ticket"] != "open sesame":
        raise ApplicationError("com.example.error.unknown", "no such visitor")
    return {"role": "user", "authid": "dora the visitor", "extra": {"floor": 3}}


def judge_wampcra(realm, authid, details):
    if authid == "cora":
        return {"secret": "cora's secret", "role": "user"}
    if authid == "cora.salted":
        key = derive_key("cora's secret", "pepper", 500, 32).decode()
        return {"secret": key, "salt": "pepper", "iterations": 500, "keylen": 32, "role": "user"}
    raise ApplicationError("com.example.error.unknown", "no such visitor")


def judge_cryptosign(realm, authid, details):
    if details["authextra"]["pubkey"] != KNOWN_PUBLIC_KEY:
        raise ApplicationError("com.example.error.unknown", "no such visitor")
    return {"pubkey": KNOWN_PUBLIC_KEY, "role": "user", "authid": "the known one"}


async def dynamic_ticket(router):
    where = await asking_dynamically(router)
    session = await joins_as(router, ticket("dora", "open sesame"), "dora the visitor", "user", "ticket", **where)
    assert session.details.authextra["floor"] == 3
    for authid, secret in [("dora", "guess"), (nobody(router), "open sesame")]:
        await stays_out(router, ticket(authid, secret), FAILED, DENIED, **where)


async def dynamic_wampcra(router):
    where = await asking_dynamically(router)
    await joins_as(router, wampcra("cora", "cora's secret"), "cora", "user", "wampcra", **where)
    await joins_as(router, wampcra("cora.salted", "cora's secret"), "cora.salted", "user", "wampcra", **where)
    for authid, secret in [("cora", "guess"), (nobody(router), "cora's secret")]:
        await stays_out(router, wampcra(authid, secret), FAILED, DENIED, **where)


async def dynamic_cryptosign(router):
    where = await asking_dynamically(router)
    await joins_as(router, cryptosign("x", KNOWN_KEY), "the known one", "user", "cryptosign", **where)
    await stays_out(router, cryptosign("x", OTHER_KEY), FAILED, DENIED, **where)


async def dynamic_authenticator_that_is_not_there(router):
    await stays_out(
        router, ticket("dora", "open sesame"), DENIED, url=router.options.dynamic_url
    )


SCENARIOS = [
    anonymous,
    anonymous_without_offering_anything,
    unknown_realm,
    method_that_nobody_knows,
    good_ticket,
    bad_tickets,
    good_wampcra,
    salted_wampcra,
    bad_wampcra,
    good_cryptosign,
    cryptosign_without_authid,
    bad_cryptosign,
    stolen_public_key,
    router_picks_a_method_that_it_has,
    rules_of_a_role_are_kept,
    unacknowledged_publication_that_is_denied_is_silent,
    dynamic_authorizer_decides,
    dynamic_ticket,
    dynamic_wampcra,
    dynamic_cryptosign,
    dynamic_authenticator_that_is_not_there,
]

if __name__ == "__main__":
    main(SCENARIOS, lambda parser: parser.add_argument("--dynamic-url", help="where the authenticators are procedures"))
