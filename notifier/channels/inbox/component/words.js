// <notifier-inbox src="https://notify.example.com" token="…">: a bell with a count, and the messages behind it.
// One file, no dependency, nothing inline: it runs under `script-src https://notify.example.com`, and its styles are
// a constructed sheet, which `style-src` lets pass. docs/inbox.md describes its attributes and events.

const WORDS = {
  en: {
    inbox: "Inbox", archive: "Archive", close: "Close", readAll: "Mark all as read", more: "Show more",
    empty: "Nothing new", emptyArchive: "Nothing in the archive", put: "Archive: {0}", unread: "Unread", failed:
    "The messages can’t be loaded just now.", again: "Try again", bell: { one: "Inbox, {0} unread", other:
    "Inbox, {0} unread", none: "Inbox, nothing unread" }, came: { one: "{0} new message", other: "{0} new messages" },
    past: "No longer current",
  },
  de: {
    inbox: "Postfach", archive: "Archiv", close: "Schließen", readAll: "Alle als gelesen markieren", more:
    "Mehr anzeigen", empty: "Nichts Neues", emptyArchive: "Das Archiv ist leer", put: "Archivieren: {0}", unread:
    "Ungelesen", failed: "Die Nachrichten können gerade nicht geladen werden.", again: "Noch einmal versuchen", bell: {
    one: "Postfach, {0} ungelesen", other: "Postfach, {0} ungelesen", none: "Postfach, nichts ungelesen" }, came: {
    one: "{0} neue Nachricht", other: "{0} neue Nachrichten" }, past: "Nicht mehr aktuell",
  },
  fr: {
    inbox: "Messagerie", archive: "Archives", close: "Fermer", readAll: "Tout marquer comme lu", more:
    "Afficher plus", empty: "Rien de nouveau", emptyArchive: "Les archives sont vides", put: "Archiver\u00a0: {0}",
    unread: "Non lu", failed: "Les messages ne peuvent pas être chargés pour le moment.", again: "Réessayer", bell: {
    one: "Messagerie, {0} non lu", other: "Messagerie, {0} non lus", none: "Messagerie, tout est lu" }, came: { one:
    "{0} nouveau message", other: "{0} nouveaux messages" }, past: "N’est plus d’actualité",
  },
  es: {
    inbox: "Buzón", archive: "Archivo", close: "Cerrar", readAll: "Marcar todo como leído", more: "Mostrar más",
    empty: "Nada nuevo", emptyArchive: "El archivo está vacío", put: "Archivar: {0}", unread: "Sin leer", failed:
    "Los mensajes no se pueden cargar en este momento.", again: "Reintentar", bell: { one: "Buzón, {0} sin leer",
    other: "Buzón, {0} sin leer", none: "Buzón, todo leído" }, came: { one: "{0} mensaje nuevo", other:
    "{0} mensajes nuevos" }, past: "Ya no es actual",
  },
};
