//! Filters, pages and facets against a slow and obvious reference: of the dataset, and of the real binary.

use std::collections::BTreeMap;

use waybill::dataset::{Dataset, Filter, Sort};
use waybill::load::Options;
use waybill::shipment::{Facet, FoldedKey};

use crate::reference::agreement::{loaded, rendered};
use crate::reference::odd::Random;
use crate::reference::queries::{Filters, Model, PREFIX, facets_body, form, page_body};
use crate::reference::{COLUMNS, Export};
use crate::support::Server;
use crate::support::client::Client;

/// Files, of so many shipments in so many cities, and queries about each.
const FILES: [(usize, usize, usize); 6] =
    [(1, 1, 200), (7, 20, 800), (60, 10, 2000), (300, 25, 3000), (400, 500, 2000), (1000, 30, 2000)];

pub(super) fn filter(filters: &Filters) -> Filter {
    let mut filter = Filter::default();
    for (parameter, value) in filters {
        let values = match Facet::of_data(false).find(|facet| facet.name() == *parameter) {
            Some(facet) => &mut filter.facets[facet as usize],
            None if *parameter == PREFIX => &mut filter.prefixes,
            None => &mut filter.tracking_numbers,
        };
        values.push(FoldedKey::new(value));
    }
    filter
}

pub(super) fn order(sort: &str) -> Sort {
    match sort {
        "" => Sort::File,
        "tracking_number" => Sort::Number,
        _ => Sort::NumberDescending,
    }
}

fn assert_same_facets(dataset: &Dataset, model: &Model, filters: &Filters) {
    let facets = dataset.select(&filter(filters)).facets();
    for (facet, expected) in Facet::of_data(false).zip(model.facets(filters)) {
        let counts = facets[facet as usize].iter();
        let counts: Vec<(String, u64)> = counts.map(|count| (count.value.clone(), count.count)).collect();
        assert_eq!(counts, expected, "{facet:?} among {filters:?}");
    }
}

fn assert_same_page(dataset: &Dataset, model: &Model, filters: &Filters, sort: &str, offset: u64, limit: usize) {
    let selection = dataset.select(&filter(filters));
    assert_eq!(selection.count(), model.count(filters) as u64, "{filters:?}");
    let page: Vec<String> = selection.page(order(sort), offset, limit).iter().map(rendered).collect();
    assert_eq!(page, model.page(filters, sort, offset, limit), "{filters:?} {sort} {offset} {limit}");
}

#[test]
fn the_dataset_selects_and_counts_as_the_reference_does() {
    for (seed, (shipments, cities, queries)) in (1..).zip(FILES) {
        let random = &mut Random::new(seed);
        let file = random.export(shipments, cities);
        let block_bytes = [1, 500, 4000, 1 << 20][random.below(4)];
        let options = Options { threads: 1 + random.below(3), block_bytes, ..Options::default() };
        let dataset = loaded(file.as_bytes(), &options).unwrap_or_else(|error| panic!("{error}")).dataset;
        let model = Model::new(&Export::read(file.as_bytes()).unwrap());
        assert_same_facets(&dataset, &model, &Filters::new());
        for _ in 0..queries {
            let filters = random.filters(&model);
            let offset = random.offset(model.count(&filters));
            assert_same_page(&dataset, &model, &filters, random.sort(), offset, random.limit());
            assert_same_facets(&dataset, &model, &filters);
        }
    }
}

fn pairs(filters: &Filters) -> Vec<(String, String)> {
    filters.iter().map(|(parameter, value)| ((*parameter).to_owned(), value.clone())).collect()
}

fn assert_answers(client: &mut Client, path: &str, expected: &str) {
    let answer = client.get(path);
    assert_eq!((answer.status, answer.text()), (200, expected), "{path}");
}

fn ask_for_page(client: &mut Client, random: &mut Random, model: &Model) {
    let filters = random.filters(model);
    let (sort, offset, limit) = (random.sort(), random.offset(model.count(&filters)), random.limit());
    let mut others = pairs(&filters);
    others.push(("limit".to_owned(), limit.to_string()));
    if !sort.is_empty() {
        others.insert(random.below(others.len()), ("sort".to_owned(), sort.to_owned()));
    }
    let with_offset = |offset: u64| {
        let offset = (offset > 0).then(|| ("offset".to_owned(), offset.to_string()));
        others.iter().cloned().chain(offset).collect::<Vec<_>>()
    };
    let link = |offset| format!("http://waybill.test/v1/shipments{}", form(&with_offset(offset)));
    let expected = page_body(model, &filters, sort, offset, limit, link);
    assert_answers(client, &format!("/v1/shipments{}", form(&with_offset(offset))), &expected);
}

fn ask_for_list(client: &mut Client, random: &mut Random, model: &Model) {
    // Of the filters those that the list has; of each the last counts.
    let asked = random.filters(model);
    let mut filters = Filters::new();
    for name in ["tracking_number", "carrier"] {
        filters.extend(asked.iter().rev().find(|(parameter, _)| *parameter == name).cloned());
    }
    let (offset, limit) = (random.offset(model.count(&filters)), random.limit());
    let mut others = pairs(&asked);
    others.push(("limit".to_owned(), limit.to_string()));
    let with_offset = |offset: u64| {
        let offset = (offset > 0).then(|| ("offset".to_owned(), offset.to_string()));
        let mut pairs: Vec<_> = others.iter().cloned().chain(offset).collect();
        pairs.sort_by_key(|(name, _)| name.clone());
        pairs
    };
    let link = |offset| format!("http://waybill.test/shipment/list/{}", form(&with_offset(offset)));
    let expected = page_body(model, &filters, "", offset, limit, link);
    let mut sent = others.clone();
    sent.insert(random.below(sent.len()), ("offset".to_owned(), offset.to_string()));
    assert_answers(client, &format!("/shipment/list/{}", form(&sent)), &expected);
}

#[test]
fn the_server_answers_as_the_reference_does() {
    for (seed, (shipments, cities, queries)) in (11..).zip(FILES) {
        let random = &mut Random::new(seed);
        let file = random.export(shipments, cities);
        let server = Server::start(&file, &[]);
        let model = Model::new(&Export::read(file.as_bytes()).unwrap());
        let client = &mut server.client();
        for _ in 0..queries {
            match random.below(4) {
                0 => {
                    let filters = random.filters(&model);
                    assert_answers(
                        client,
                        &format!("/v1/facets{}", form(&pairs(&filters))),
                        &facets_body(&model, &filters),
                    );
                }
                1 => ask_for_list(client, random, &model),
                _ => ask_for_page(client, random, &model),
            }
        }
    }
}

/// More shipments than one container of a bitmap has room for, each sender in a city of its own.
#[test]
fn many_shipments_are_selected_and_counted_as_few_are() {
    const SHIPMENTS: usize = 140_000;
    let row = |at: usize| {
        let (carrier, status, half) = (at % 3, at % 10_007, at / 70_000);
        format!("T{at},C{carrier},\"a, 1 City {at:06}, X\",\"a, 2 B, Half {half}\",Laptop,1,1,L,S{status}\n")
    };
    let file = (0..SHIPMENTS).map(row).fold(COLUMNS.join(",") + "\n", |file, row| file + &row);
    let options = Options { threads: 2, ..Options::default() };
    let dataset = loaded(file.as_bytes(), &options).unwrap_or_else(|error| panic!("{error}")).dataset;
    let numbers = |filters: &Filters, offset: u64| -> Vec<String> {
        let page = dataset.select(&filter(filters)).page(Sort::File, offset, 2);
        page.iter().map(|record| rendered(record).split('"').nth(3).unwrap().to_owned()).collect()
    };
    let count = |filters: &Filters| dataset.select(&filter(filters)).count();
    let facets = |filters: &Filters| {
        let facets = dataset.select(&filter(filters)).facets();
        // Without stages.
        [
            Facet::Carrier,
            Facet::Status,
            Facet::SenderCity,
            Facet::SenderCountry,
            Facet::ReceiverCity,
            Facet::ReceiverCountry,
        ]
        .map(|facet| {
            let counts = facets[facet as usize].iter();
            counts.map(|count| (count.value.clone(), count.count)).collect::<Vec<_>>()
        })
    };

    assert_eq!(numbers(&vec![], 139_999), ["T139999"]);
    let carrier = vec![("carrier", "c1".to_owned())];
    assert_eq!(
        (count(&carrier), numbers(&carrier, 46_665)),
        (46_667, vec!["T139996".to_owned(), "T139999".to_owned()])
    );
    let both = vec![("carrier", "c1".to_owned()), ("receiver_country", "HALF 1".to_owned())];
    let of_both = (70_000..SHIPMENTS).filter(|at| at % 3 == 1).count() as u64;
    assert_eq!((count(&both), numbers(&both, 0)), (of_both, vec!["T70000".to_owned(), "T70003".to_owned()]));
    let statuses: Filters = ["s5", "s4", "s10006"].map(|status| ("status", status.to_owned())).into();
    assert_eq!((count(&statuses), numbers(&statuses, 1)), (14 + 14 + 13, vec!["T5".to_owned(), "T10006".to_owned()]));
    let numbered = vec![("tracking_number", "t99999".to_owned()), ("tracking_number", " T7".to_owned())];
    assert_eq!(numbers(&numbered, 0), ["T7", "T99999"]);
    let city = vec![("sender_city", "city 123456".to_owned())];
    assert_eq!(numbers(&city, 0), ["T123456"]);

    let [carriers, statuses, cities, ..] = facets(&both);
    assert_eq!(carriers, [("C1".to_owned(), of_both)]);
    let expected: BTreeMap<usize, u64> =
        (70_000..SHIPMENTS).filter(|at| at % 3 == 1).fold(BTreeMap::new(), |mut counts, at| {
            *counts.entry(at % 10_007).or_default() += 1;
            counts
        });
    let mut expected: Vec<(String, u64)> = expected.into_iter().map(|(at, count)| (format!("S{at}"), count)).collect();
    expected.sort_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then(a.cmp(b)));
    assert_eq!(statuses, expected[..100]);
    let first_cities = (70_000..SHIPMENTS).filter(|at| at % 3 == 1).map(|at| (format!("City {at:06}"), 1));
    assert_eq!(cities, first_cities.take(100).collect::<Vec<_>>());
    let [.., halves] = facets(&carrier);
    assert_eq!(halves, [("Half 1".to_owned(), of_both), ("Half 0".to_owned(), 46_667 - of_both)]);
    // Few enough to be looked at one by one.
    let [carriers, _, cities, ..] = facets(&vec![("status", "s3".to_owned())]);
    assert_eq!(carriers.iter().map(|(_, count)| count).sum::<u64>(), 14);
    assert_eq!(cities[1], ("City 010010".to_owned(), 1));
    let [_, statuses, cities, countries, ..] = facets(&vec![]);
    assert_eq!((statuses[0].clone(), cities[99].clone()), (("S0".to_owned(), 14), ("City 000099".to_owned(), 1)));
    assert_eq!(countries, [("X".to_owned(), 140_000)]);
}
