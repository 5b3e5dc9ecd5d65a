CREATE TABLE histories.covered (ds DATE, data_version VARCHAR, engine VARCHAR);
CREATE TABLE histories.history (
    customer UBIGINT, customer_id VARCHAR, ds DATE, ordinal BIGINT, occurred_at TIMESTAMP, kind VARCHAR,
    article_id VARCHAR, price DECIMAL(38, 9), channel VARCHAR
);
CREATE TABLE histories.sold (
    article UBIGINT, article_id VARCHAR, ds DATE, units BIGINT, revenue DECIMAL(38, 9)
);
CREATE TABLE histories.by_day (ds DATE, kind VARCHAR, units BIGINT, customers BIGINT, revenue DECIMAL(38, 9));
