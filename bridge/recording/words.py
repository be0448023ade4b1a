"""The closed vocabulary: words that may stay in a recorded message, because they say nothing about anybody.

What this bridge itself says, what hosts of this kind say in English and Norwegian, and codes. Given names and surnames
do not belong here, however common the word is otherwise (*mark*, *bill*): those that messages cannot do without pass
only where they written in small letters. All in lower case; single letters pass anyway.
"""

from __future__ import annotations

OWN = """
absolute accept accepted accepts account act action actions again already also altogether ambiguous amili amount an
and another answer answered answers any anything approval approve array arrays arrived as ascii asked at
authenticate authenticated autocollect avviste away back backup base basic batch batches be bearer because before
being belong belongs bit bits blank blanks body boolean bridge broke broken but by byte bytes call callers came cannot
carried carries carry case cases change changed character characters charset claim claims clock code coding collection
column comes comma compare compressed configuration configured constant content correct correction corrections
counterpart country create credentials credit creditor cross currency damaged data date dates day debtor debtors
decides decimal decimals declared decompression deeply deflate determined differ digits does done doubled doubt
draining duplicate each earlier early element elements empty encoding ends english entry every exact exactly exchange
expected extra failed false fate faults faulty few field fields finally find finished finner first fits folder for
forbids found fraction from full get give gives guardianship gzip half handed has have held here hold holds host http
id identity if in instant instead invoice invoices is iso isolating it its join journal json keep kind know known
knows larger last later latin leave left legacy letter level line list little longer looked make many mapping mappings
mean means member members mention mentioning message messages minute missing modern more most moved must name names
national need needed needs nested never new newer no none not nothing nul null number numbers object objects of off
offline on onboard once one only operator or organization organizations other otherwise out outside own page part pass
payment payments pending person phone ping place plain point processed processing profile profiles properties property
provided put question range read readable ready reason recover reference refused region registrert reject rejected
remedy repeat repeated replaced replay replica required resolved responses restart restarted restore result retry row
rows same saying seconds send sender senders sending sent separator several short should show shows signature so some
something sources speak spelling split stand stands state status still stopping storage string submitted such
supported surrogate system take taken takes tell tells text texts than that the their them then there these they thing
this thousands three time times title to too transform travelled true try twice two type unicode unique unknown unless
unreadable until up url use used using utf valid validation value values version wait wanted was way webhook went were
what when where whether which while who whole whose windows with without words would write written wrong yet you zone
"""

ENGLISH = """
a access accounts active add added address after agreement all allow allowed always api application approved archive
archived attachment attempt attempted authentication authorization authorized available bad balance bank been between
both busy calculated can cancel cancelled changes check checked choose client close closed collect collected
collections company complete completed conflict connection contact contain contains context continue could court
customer customers database deadline deadlock debt debts deceased default delete deleted denied description detail
details did different disabled dispute disputed do document due during either email enabled end error errors exceed
exceeded exceeds exception exist exists expired external failure fee fees file final forbidden format forward future
gateway general generated greater guid handle handled have header history how idle ids illegal import imported
inactive incorrect index inside instance insufficient integer interest internal into invalid item items key large late
latest least legal length less limit limits locked logged long lost lower mail maintenance mandatory match matching
maximum method minimum mismatch moment month must negative next note notice now null occurred old open operation
option organisation organisations other outstanding over overdue paid parameter parameters parent parse parsing part
partial path pause paused pay payable permission permitted person please positive possible post previous principal
private problem process processor property protected provide query queue reached read reading received record records
reduce refer referenced references refuse register registered reminder reminders remove removed reply request requests
reserved resource response resume return returned row rule save saved schema script search see select separate
sequence server service session set settled settlement settlements since size skipped source specified stack start
started stop stopped success successful successfully sum supplied support table target temporary terminated than
timeout timestamp token total trace transaction transfer transferred type unable unauthorized unavailable under
unexpected unhandled unprocessable unsupported update updated upper user vat via view violation warning withdraw
withdrawn within work year years yes zero
"""

NORWEGIAN = """
adresse aksjon aksjoner aktiv aktivt aldri alle allerede andre antall at av avbrutt avdrag avsender avsluttet avslått
avtale avvik avvises avvist bank behandles behandlet behandling beløp beløpet bestilling betale betaling betalingen
betalinger betalt bilag ble blir både da data dato datoen datoer debitor den denne der dersom det dette du egen
eksisterer eldre eller en endre endret enn er et ett etter faktura fakturaen fakturaer fakturanr fakturanummer
faktureres feil feilet feilmelding felt felter feltet ferdig finnes fins for forbigående foreldet forfall forfallsdato
forfalt forsøk fra frem fremdeles fullmakt funnet før første gang gebyr gjeld gjelder gjenopptatt gjør godkjent
godtatt gyldig ha har hele hendelse hentet her hos hovedstol hva hver hvis i ikke inaktiv informasjon ingen inkasso
inkassosak innbetaling innbetalingen inneholder innen ja kan kansellert kjent klient klienten kode koden kommer
kontakt konto kontonummer kontroll korreksjon korrekt krav kravet krediert kredit kreditert kreditnota kreditor
kreditoren kreves kun kunde kunden kundenummer kunne lagret land lang lengde linje liste lukkede lukket låst maks
manglende mangler med melding mellom men mer mindre minst minus mislyktes mottaker mottatt må måned mønster navn
negativ negativt nei neste noe nok nummer nummeret ny nye nå når obligatorisk ok om oppdatert opprettet organisasjon
organisasjonsnummer overføring overført pause pauset personnummer post postnummer prøv purring på rad raden referanse
referansen registrert rente renter restbeløp resultat sak saken saker saksnummer samme samtidig send sendes sendt
senere ser skal skyldner slettet slutt som sperret status stengt stoppet større størrelse sum svar system så tekst
telefon tidligere tidspunkt til tilbakekalt tilgang tillatt to tom tomt trukket tvist type ugyldig ugyldige ukjent
umulig under uten utestående utilgjengelig utløpt utsatt utsettelse valuta var ved vedlegg vennligst venter verdi
verdien vil være åpen åpne år årsak ønsket øyeblikk
"""

CODES = """
action api chf code collection com company correction credit creditor danmark de debit denmark direct dk dkk erp error
eur example fak fee fi finland gb gbp guid html http https interest inv invoice is isk json kid kr mva net no nok
norge norway note notice nr ocr ok order ordre org orgnr payment pending pln principal private pst ref reminder se
seed sek sql stk sverige sweden test us usd utc uuid warning xml
"""


NAMES_AS_WELL = frozenset({"are", "art", "ask", "dag", "else", "even", "live", "may", "per", "tor", "will"})
"""Words that are given names when they begin with a capital."""

NUMBERS = frozenset({"1250", "1252", "2024", "3166", "4217", "8601", "8859"})
"""Numbers of more than three digits that messages hold: of standards, and of the bridge's own examples."""
DAYS = frozenset({"2024-02-15"})


def all_words() -> frozenset[str]:
    """Return every word of the vocabulary, in lower case."""
    return frozenset(" ".join((OWN, ENGLISH, NORWEGIAN, CODES)).split())
