"""What each channel's folder says of its texts fits together, and is all that the engine knows of them."""

import msgspec
import pytest

from notifier.console.pages import _ENVIRONMENT
from notifier.domain.channels import channels, spec
from notifier.domain.deliveries import Channel
from notifier.domain.errors import ConfigurationError
from notifier.rendering.texts import DIGEST, Texts, decode, encode, texts_type
from notifier.rendering.writing import digesting, is_framed, measures, writing
from notifier.texts import publishing
from tests.samples import CATALOG, RENDERER

EVERY = pytest.mark.parametrize("channel", channels())


@EVERY
def test_the_form_has_a_field_for_each_part_that_authors_write(channel: Channel) -> None:
    own = writing(channel)
    boxes = [*own.boxes, *(own.folded.boxes if own.folded else ()), *((own.rows,) if own.rows else ())]

    assert sorted(box.part for box in boxes) == sorted(own.table.__struct_fields__)
    assert all(box.label and box.lines for box in boxes)


@EVERY
def test_what_is_said_of_parts_names_parts_that_there_are(channel: Channel) -> None:
    own = writing(channel)

    assert own.optional | own.addresses | own.markup.keys() <= set(own.table.__struct_fields__)
    assert own.everywhere <= own.optional
    assert (own.digest is not None) == spec(channel).collects


def test_at_most_one_channel_has_the_digest_and_no_two_count_the_same() -> None:
    assert sum(writing(channel).digest is not None for channel in channels()) == (digesting() is not None)
    assert len({measure.name for measure in measures()}) == len(measures())


@EVERY
def test_each_message_is_of_its_channels_content_and_reads_as_words(channel: Channel) -> None:
    for kind in CATALOG.types.values():
        if channel in kind.channels:
            for locale in RENDERER.shipped[kind.id]:
                content = RENDERER.render(
                    kind.id, channel, locale=locale, time_zone="UTC", data=kind.samples[0].data
                ).content

                assert type(content) is spec(channel).content
                assert writing(channel).read(content)
                assert [each for each in writing(channel).check(content) if each.level == "error"] == []


@EVERY
def test_a_channel_without_a_preview_of_its_own_is_shown_part_by_part(channel: Channel) -> None:
    kind = next(kind for kind in CATALOG.types.values() if channel in kind.channels)
    content = RENDERER.render(kind.id, channel, locale="en", time_zone="UTC", data=kind.samples[0].data).content
    source = '{% import "_messages.html" as show %}{% include ["channels/nobody/preview.html", "_content.html"] %}'

    page = _ENVIRONMENT.from_string(source).render(content=content, look={"tried": {"locale": "en"}})

    words = {name: text for name, text in msgspec.structs.asdict(content).items() if text and name != "html"}
    assert page.count("<dt>") == len(words)
    assert is_framed(channel) == ("html" in msgspec.structs.asdict(content))


def test_texts_are_kept_as_tables_in_the_order_of_their_channels() -> None:
    assert texts_type().__struct_fields__ == (*channels(), DIGEST)
    for wording in RENDERER.shipped.values():
        assert decode(encode(wording)) == wording
        for texts in msgspec.json.decode(encode(wording), type=dict[str, dict[str, object]]).values():
            assert list(texts) == [name for name in (*channels(), DIGEST) if name in texts]


def test_a_stored_table_of_another_releases_channel_is_passed_over_and_one_of_the_wrong_shape_is_refused() -> None:
    newer = msgspec.Raw(b'{"en":{"pigeon":{"text":"coo"},"sms":{"text":"Hello"}}}')
    wrong = msgspec.Raw(b'{"en":{"sms":{"words":"Hello"}}}')

    (texts,) = publishing.decode(newer).values()
    assert texts.table("sms") == writing(Channel("sms")).table(text="Hello")
    assert [name for name in channels() if texts.table(name)] == ["sms"]
    with pytest.raises(ConfigurationError, match=r"the texts don't have the expected shape: .*sms"):
        publishing.decode(wrong)


def test_no_texts_have_no_table() -> None:
    assert Texts().table("sms") is None
    assert Texts().table(DIGEST) is None
