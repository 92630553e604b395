"""How many steps the nearest rival asks for, as its documentation or its source tells.

Counted as ours are, for somebody who knows the product and starts on the same kind of page; what
has to be set up once is not counted. Where several have a flow, the one with the fewest steps is
here. Nothing of theirs was run.
"""

from __future__ import annotations

from dataclasses import dataclass

_CHATWOOT = "https://github.com/chatwoot/chatwoot/blob"
_DIFY = "https://github.com/langgenius/dify/blob"
_DIFY_DOCS = "https://github.com/langgenius/dify-docs/blob"
_KOTAEMON = "https://github.com/Cinnamon/kotaemon/blob"


@dataclass(frozen=True, slots=True)
class Flow:
    """A rival's way: its clicks and entries, what is done, and where that is written. `rival` is
    empty where none has one, and `steps` says what was looked at."""

    rival: str
    clicks: int
    entries: int
    steps: str
    source: str


RIVALS = {
    "ask, open the cited passage": Flow(
        "Dify",
        3,
        1,
        "Click the chat bubble, type, Enter, click the document's name below the answer. "
        "(kotaemon has no widget; on its own page the cited passages stand open beside the answer, "
        "after one entry and Enter.)",
        f"{_DIFY}/00317e49acd332eb9594837bf3f741d38cad328a"
        "/web/app/components/base/chat/chat/citation/popup.tsx",
    ),
    "reach a person": Flow(
        "Chatwoot",
        3,
        1,
        "Click the bubble, click Start conversation, type, Enter: an inbox without a bot or a "
        "pre-chat form, where every message goes to a person.",
        f"{_CHATWOOT}/50b33d885330c83f904d1d19aaa903dbc113bcff/app/javascript/widget/views/Home.vue",
    ),
    "rate an answer, with a reason": Flow(
        "Dify",
        2,
        1,
        "Click the thumb down beside the answer, type into the dialog, click Submit.",
        f"{_DIFY}/cccff6768a836b592fd259359ca150226dd2f051"
        "/web/app/components/base/chat/chat/answer/operation.tsx",
    ),
    "download the transcript": Flow(
        "Chatwoot",
        2,
        0,
        "Click End conversation, click the button that sends a transcript: by e-mail, to an "
        "address that the customer has left before. The chat pages of Dify and kotaemon have none.",
        f"{_CHATWOOT}/03f5c8cdf6432e9d7a752e7aadb733f13e3645b4"
        "/app/javascript/widget/components/ChatFooter.vue",
    ),
    "take over, send the suggestion edited": Flow(
        "Chatwoot",
        5,
        1,
        "Click the conversation, click the spark above the editor, click the suggested reply in "
        "its menu, click Accept, edit, send. Nobody has to be assigned; that is one click more.",
        f"{_CHATWOOT}/119ac7812cd72c7c3b87ae86c0544b0dfc84d58c"
        "/app/javascript/dashboard/components/widgets/WootWriter/CopilotMenuBar.vue",
    ),
    "send a canned reply": Flow(
        "Chatwoot",
        2,
        1,
        "Type / and the short code, Enter picks the reply, Enter (or Cmd+Enter) sends it.",
        f"{_CHATWOOT}/0008fca511bb563b0f67e384823960b3f90294dd"
        "/app/javascript/dashboard/components/widgets/mentions/MentionBox.vue",
    ),
    "ask two knowledge versions side by side": Flow(
        "",
        0,
        0,
        "Dify runs one question on up to four models, all with the same knowledge, and its "
        "retrieval test asks one knowledge base as it is now; kotaemon's chat page likewise. No "
        "versions of the knowledge were found in any of the three.",
        f"{_DIFY_DOCS}/007f828cf1ddbb4782d1cca6f25a0b35c603a77e/en/use-dify/build/chatbot.mdx",
    ),
    "upload a document, publish it": Flow(
        "kotaemon",
        2,
        1,
        "On the file tab click the drop area, choose the file, click Upload and Index: there is no "
        "preview, and the file is used at once. (Quick Upload on its chat page spares the last "
        "click; Dify takes four: Add file, browse, Next, Save and process.)",
        f"{_KOTAEMON}/1cce536204d6c511d2700852a08f42abb0a03841/docs/usage.md",
    ),
    "add a curated answer": Flow(
        "Chatwoot",
        3,
        2,
        "Click FAQs in the sidebar, click Create, type question and answer, click Create. (Dify: "
        "Logs and annotations, the tab Annotations, Add annotation, both texts, Add.)",
        f"{_CHATWOOT}/36737e03015d3e4923b73d601b3127bd5b15d61d"
        "/app/javascript/dashboard/components-next/captain/pageComponents/response/ResponseForm.vue",
    ),
    "undo a publication": Flow(
        "",
        0,
        0,
        "Dify restores an earlier version of an app's flow, not of knowledge, and says that "
        "deleted documents cannot be restored; kotaemon's file tab and Captain's lists delete.",
        f"{_DIFY_DOCS}/279f7135d0c8d0ec7dafc0142ffca16ac45a4cd2/en/use-dify/build/version-control.mdx",
    ),
}
